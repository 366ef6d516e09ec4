package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
)

var receiptKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32))

func testReceipt(sender, receiver PeerID, n int64) Receipt {
	r := Receipt{Sender: sender, Receiver: receiver, SinceMS: testTime.UnixMilli(), Bytes: n}
	r.Sign(receiptKey, "match")
	return r
}

func TestAReceiptIsGoodForWhatWasSignedAndNothingElse(t *testing.T) {
	key := Key(receiptKey.Public().(ed25519.PublicKey))
	r := testReceipt(1, 2, 5000)
	if !r.Verify(key, "match") {
		t.Fatal("an honest receipt does not verify")
	}
	if r.Verify(key, "match2") {
		t.Error("it is good in another room")
	}
	if r.Verify(testKey(1), "match") {
		t.Error("it is good by another key")
	}
	for name, change := range map[string]func(r *Receipt){
		"sender":    func(r *Receipt) { r.Sender++ },
		"receiver":  func(r *Receipt) { r.Receiver++ },
		"start":     func(r *Receipt) { r.SinceMS-- },
		"amount":    func(r *Receipt) { r.Bytes *= 2 },
		"signature": func(r *Receipt) { r.Signature[9] ^= 1 },
		"both ends": func(r *Receipt) { r.Sender, r.Receiver = r.Receiver, r.Sender },
	} {
		c := r
		if change(&c); c.Verify(key, "match") {
			t.Errorf("with another %s it is good", name)
		}
	}
}

func TestTheNewerReceiptIsTheOneThatSaysMore(t *testing.T) {
	old := Receipt{SinceMS: 1000, Bytes: 500}
	for _, c := range []struct {
		since, bytes int64
		want         bool
	}{{1000, 501, true}, {1000, 500, false}, {1000, 499, false}, {1001, 1, true}, {999, 1 << 50, false}} {
		if r := (Receipt{SinceMS: c.since, Bytes: c.bytes}); r.Newer(&old) != c.want {
			t.Errorf("%d bytes since %d: newer is %v", c.bytes, c.since, !c.want)
		}
	}
}

// A receipt costs a neighbour that gives a group of ten its ninth of 2 Mbit/s
// less than one byte in 2000.
func TestAReceiptIsSmall(t *testing.T) {
	r := testReceipt(1, 2, 5000)
	if n := len(AppendReceipt(nil, tag, &r)); n != 5+ReceiptLen || n > 2_000_000/8/9*10/2000 {
		t.Errorf("a RECEIPT has %d bytes", n)
	}
	long := SignalReport{Report: json.RawMessage(`{"x":"` + strings.Repeat("x", MaxSignalReport-8) + `"}`)}
	for range MaxSignalReceipts {
		long.Receipts = append(long.Receipts, r)
	}
	if _, err := AppendSignal(nil, &long); err != nil {
		t.Errorf("the longest report with the most receipts does not fit: %v", err)
	}
}

func FuzzReceipt(f *testing.F) {
	text, _ := testReceipt(1, 2, 5000).MarshalText()
	f.Add(text)
	f.Add(bytes.Repeat([]byte("A"), len(text)))
	f.Add(text[:40])
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Receipt
		if r.UnmarshalText(text) != nil {
			return
		}
		again, err := r.MarshalText()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s became %s, %v", text, again, err)
		}
		if r.Sender == r.Receiver || r.Bytes <= 0 || r.Bytes > MaxReceiptBytes {
			t.Fatalf("%+v passed", r)
		}
	})
}

func BenchmarkReceipt(b *testing.B) {
	key := Key(receiptKey.Public().(ed25519.PublicKey))
	r := testReceipt(1, 2, 5000)
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			r.Sign(receiptKey, "match")
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if !r.Verify(key, "match") {
				b.Fatal("not good")
			}
		}
	})
}
