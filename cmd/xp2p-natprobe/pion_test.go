package main

import (
	"testing"

	"github.com/pion/stun/v2"
)

// pion's own client, as other people's programs use it.
func TestPionsClientUnderstandsTheResponder(t *testing.T) {
	list := respond(t, "127.0.0.2:34850", "127.0.0.2:34860", "127.0.0.3:34850", "127.0.0.3:34860")
	c, err := stun.Dial("udp4", list[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Do(stun.MustBuild(stun.TransactionID, stun.BindingRequest), func(e stun.Event) {
		if e.Error != nil {
			t.Error(e.Error)
			return
		}
		var mapped stun.XORMappedAddress
		var other stun.OtherAddress
		var origin stun.ResponseOrigin
		if mapped.GetFrom(e.Message) != nil || other.GetFrom(e.Message) != nil || origin.GetFrom(e.Message) != nil {
			t.Fatalf("%v", e.Message)
		}
		if !mapped.IP.IsLoopback() || other.String() != list[3].String() || origin.String() != list[0].String() {
			t.Errorf("mapped %v, other %v, origin %v", mapped, other, origin)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
