package main

import (
	"context"
	"os"
	"testing"
)

func TestZProf(t *testing.T) {
	null, _ := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	code, msg := run(context.Background(), os.Stdin, null, "-q")
	t.Log(code, msg)
}
