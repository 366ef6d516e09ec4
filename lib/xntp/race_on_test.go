//go:build race

package xntp

const raceBuild = true
