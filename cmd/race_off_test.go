//go:build !race

package cmd_test

const raceBuild = false
