//go:build !race

package xntp

const raceBuild = false
