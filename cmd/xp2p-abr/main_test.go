package main

import (
	"testing"

	"github.com/xp2p/xp2p/lib/tool"
)

func TestTheManualHasAllFlags(t *testing.T) {
	if err := tool.CheckManual(command()); err != nil {
		t.Error(err)
	}
}
