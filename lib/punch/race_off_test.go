//go:build !race

package punch

const raceBuild = false
