package xntp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

var update = flag.Bool("update", false, "write testdata/vectors.txt anew")

const vectorFile = "testdata/vectors.txt"

// vectors is the text of the file in the making.
type vectors struct{ strings.Builder }

func (v *vectors) say(format string, args ...any) { fmt.Fprintf(v, "\n# "+format+"\n", args...) }

func (v *vectors) put(name string, b []byte) { fmt.Fprintf(v, "%s: %x\n", name, b) }

// count fills with bytes that show where they are from: a, a+1, a+2, …
func count(a byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = a + byte(i)
	}
	return b
}

// unpadded is a handshake packet without the zeros at its end.
func unpadded(t *testing.T, d []byte) []byte {
	t.Helper()
	if len(d) != wire.HandshakeLen {
		t.Fatalf("a handshake packet of %d bytes", len(d))
	}
	p, err := wire.ParseLong(d)
	if err != nil {
		t.Fatal(err)
	}
	b := p.Append(nil)
	if !bytes.Equal(b, d[:len(b)]) || len(bytes.Trim(d[len(b):], "\x00")) != 0 {
		t.Fatal("it is not itself and zeros")
	}
	return b
}

// handshakeVectors runs a handshake in which nothing is left to chance.
func handshakeVectors(t *testing.T, v *vectors, c Cipher) (secrets [2][]byte) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	initiator, responder := PrivateKey(count(0x10, 32)), PrivateKey(count(0x30, 32))
	cookies, iCID, iEphemeral := count(0x50, 32), count(0x70, 4), count(0x80, 32)
	rCID, rEphemeral := count(0x78, 4), count(0xa0, 32)
	end := func(key PrivateKey, secret ...[]byte) *Endpoint {
		return New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: bytes.NewReader(bytes.Join(secret, nil)), Cipher: c, MTU: ethernetMTU})
	}
	a, b := end(initiator, cookies, iCID, iEphemeral), end(responder, cookies, rCID, rEphemeral)
	aAddr, bAddr := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4000")
	ac, err := a.Dial(now, DialOptions{Remote: b.Public(), Addr: bAddr, Early: []byte("GET")})
	if err != nil {
		t.Fatal(err)
	}
	next := func(e *Endpoint) []byte {
		p, ok := e.AppendDatagram(now, nil)
		if !ok {
			t.Fatal("nothing is sent")
		}
		return p.Data
	}
	first := next(a)
	long, _ := wire.ParseLong(first)
	noise1 := bytes.Clone(long.Noise)
	params1 := a.conns[ac].params()
	params1.Ciphers, params1.Early = wire.CipherAES128GCM|wire.CipherChaCha20Poly1305, []byte("GET")
	b.Receive(now, machine.Packet{Remote: aAddr, Data: first})
	second := next(b)
	long, _ = wire.ParseLong(second)
	noise2 := bytes.Clone(long.Noise)
	var bc *conn
	for _, x := range b.conns {
		bc = x
	}
	params2 := bc.params()
	params2.CID, params2.Ciphers = bc.local, 1<<c
	a.Receive(now, machine.Packet{Remote: bAddr, Data: second})
	third := next(a)
	b.Receive(now, machine.Packet{Remote: aAddr, Data: third})
	if bc.state != stateOpen || a.conns[ac].state != stateOpen {
		t.Fatal("no connection came of it")
	}
	if !bytes.Equal(a.conns[ac].protect.send.secret, bc.protect.recv.secret) || !bytes.Equal(bc.protect.send.secret, a.conns[ac].protect.recv.secret) {
		t.Fatal("the ends have other secrets")
	}
	secrets = [2][]byte{a.conns[ac].protect.send.secret, bc.protect.send.secret}
	if c == AES128GCM {
		pub := func(k PrivateKey) []byte { p := k.Public(); return p[:] }
		v.put("initiator private key", initiator[:])
		v.put("initiator public key", pub(initiator))
		v.put("initiator ephemeral private key", iEphemeral)
		v.put("initiator connection ID", iCID)
		v.put("responder private key", responder[:])
		v.put("responder public key", pub(responder))
		v.put("responder ephemeral private key", rEphemeral)
		v.put("responder connection ID", rCID)
		v.put("prologue", prologue(wire.CID(iCID)))
		v.say("Message 1 offers both ciphers and has the request GET. The reset token is for a\n# responder at 192.0.2.2.")
		v.put("payload 1", params1.Append(nil))
		v.put("message 1", noise1)
		v.put("Initial without its padding", unpadded(t, first))
	}
	v.say("Message 2 takes %s. The reset token is for an initiator at 192.0.2.1.", []string{"AES-128-GCM", "ChaCha20-Poly1305"}[c])
	v.put("payload 2", params2.Append(nil))
	v.put("message 2", noise2)
	v.put("Response without its padding", unpadded(t, second))
	v.put("secret of packets from the initiator", secrets[0])
	v.put("secret of packets from the responder", secrets[1])
	return secrets
}

// packetVectors seals packets under a secret and its successor.
func packetVectors(t *testing.T, v *vectors, secret []byte, c Cipher) {
	var p protectState
	p.init([32]byte(secret), [32]byte(count(0, 32)), c)
	n := 16
	if c == ChaCha20Poly1305 {
		n = chacha20poly1305.KeySize
	}
	put := func(secret []byte) {
		v.put("key", expand(secret, "xntp key", n))
		v.put("iv", expand(secret, "xntp iv", 12))
	}
	put(secret)
	hp := expand(secret, "xntp hp", 16)
	v.put("header key", hp)
	seal := func(number, acked uint64, frames []byte) {
		b := wire.AppendShort(nil, p.phase, wire.CID(count(0x78, 4)), number, wire.NumberLen(number, acked))
		v.say("Packet %d; all below %d are acknowledged.", number, acked)
		v.put("header", b)
		v.put("frames", frames)
		b = p.seal(append(b, frames...), 0, number)
		v.put("packet", b)
		got, ok := openPlainly(b, secret, p.send.secret, hp, number, c)
		if !ok || !bytes.HasPrefix(got, frames) || len(bytes.Trim(got[len(frames):], "\x00")) != 0 {
			t.Errorf("by the words of the specification packet %d has %x, want %x", number, got, frames)
		}
	}
	open := wire.Frame{Type: wire.FrameOpen, ID: 5, Open: wire.Open{Class: 1, Priority: 2, Size: 11, Timed: true, Left: 250 * time.Millisecond}}
	obj := wire.Frame{Type: wire.FrameObj, ID: 5, Data: []byte("hello world"), Fin: true, Fill: true}
	seal(0, 0, []byte{byte(wire.FramePing)})
	seal(300, 44, obj.Append(open.Append(nil)))
	p.phaseAcked = true
	p.update()
	v.say("A key update.")
	v.put("next secret", p.send.secret)
	put(p.send.secret)
	seal(70000, 300, obj.Append(nil))
}

// openPlainly opens a packet by what the documentation says and nothing of this
// package: HKDF-Expand out of HMAC, the nonce, the mask, the header.
func openPlainly(b, first, secret, hp []byte, number uint64, c Cipher) ([]byte, bool) {
	hkdf := func(secret []byte, info string, n int) []byte {
		m := hmac.New(func() hash.Hash { h, _ := blake2s.New256(nil); return h }, secret)
		m.Write(append([]byte(info), 1)) // one block is enough: n is 32 at most
		return m.Sum(nil)[:n]
	}
	if !bytes.Equal(hkdf(first, "xntp hp", 16), hp) {
		return nil, false
	}
	block, _ := aes.NewCipher(hp)
	var mask [16]byte
	block.Encrypt(mask[:], b[9:25])
	b = bytes.Clone(b)
	b[0] ^= mask[0] & 0x3f
	n := int(b[0]&3) + 1
	low := uint64(0)
	for i := range n {
		b[5+i] ^= mask[1+i]
		low = low<<8 | uint64(b[5+i])
	}
	if low != number&(1<<(8*n)-1) {
		return nil, false
	}
	var aead cipher.AEAD
	if c == ChaCha20Poly1305 {
		aead, _ = chacha20poly1305.New(hkdf(secret, "xntp key", 32))
	} else {
		k, _ := aes.NewCipher(hkdf(secret, "xntp key", 16))
		aead, _ = cipher.NewGCM(k)
	}
	nonce := hkdf(secret, "xntp iv", 12)
	for i := range 8 {
		nonce[11-i] ^= byte(number >> (8 * i))
	}
	frames, err := aead.Open(nil, nonce, b[5+n:], b[:5+n])
	return frames, err == nil
}

func TestTheVectorsOfTheSpecification(t *testing.T) {
	var v vectors
	v.WriteString("# Test vectors of XNTP, version 1: see the documentation of the packages xntp and\n# wire. All values are hexadecimal.\n")
	v.say("Handshake: Noise_IK_25519_ChaChaPoly_BLAKE2s.")
	secrets := handshakeVectors(t, &v, AES128GCM)
	v.say("Packets from the initiator, AES-128-GCM.")
	packetVectors(t, &v, secrets[0], AES128GCM)
	v.say("The same handshake with a responder that wants ChaCha20-Poly1305.")
	secrets = handshakeVectors(t, &v, ChaCha20Poly1305)
	v.say("Packets from the initiator, ChaCha20-Poly1305.")
	packetVectors(t, &v, secrets[0], ChaCha20Poly1305)

	v.say("A cookie: secret, socket 0, 192.0.2.1 port 4000, the initiator's connection ID,\n# at 2026-01-01 00:00:00 UTC; and the Retry that brings it.")
	var g gateState
	if err := g.init(bytes.NewReader(count(0x50, 32))); err != nil {
		t.Fatal(err)
	}
	cid := wire.CID(count(0x70, 4))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	from := path{0, netip.MustParseAddrPort("192.0.2.1:4000")}
	cookie := bytes.Clone(g.bake(epoch(at), from, cid))
	if !g.believes(cookie, at.Add(14*time.Second), from, cid) {
		t.Error("the cookie is not believed")
	}
	v.put("secret", count(0x50, 32))
	v.put("cookie", cookie)
	retry := wire.Long{Type: wire.PacketRetry, Version: wire.Version, Dst: cid, Cookie: cookie}
	v.put("Retry", retry.Append(nil))
	versions := wire.Long{Type: wire.PacketVersions, Dst: cid, Versions: []byte{0, 0, 0, wire.Version}}
	v.put("Versions", versions.Append(nil))

	v.say("Reset tokens of the responder above, for its connection ID, told to 192.0.2.1\n# and to 2001:db8::1; and a reset with the first, its random bytes being 00 01 02 …")
	var r resetState
	r.init(PrivateKey(count(0x30, 32)))
	rcid := wire.CID(count(0x78, 4))
	v4, v6 := r.token(rcid, netip.MustParseAddr("192.0.2.1")), r.token(rcid, netip.MustParseAddr("2001:db8::1"))
	v.put("token key", expand(count(0x30, 32), "xntp reset", 32))
	v.put("token for 192.0.2.1", v4[:])
	v.put("token for 2001:db8::1", v6[:])
	e := New(Config{Key: PrivateKey(count(0x30, 32)), Rand: rand.New(rand.NewPCG(1, 2)), Entropy: bytes.NewReader(append(count(0x50, 32), count(0, 27)...))})
	e.Receive(at, machine.Packet{Remote: from.addr, Data: append(append([]byte{0x40}, rcid[:]...), make([]byte, 95)...)})
	p, ok := e.AppendDatagram(at, nil)
	if !ok || !bytes.HasSuffix(p.Data, v4[:]) {
		t.Errorf("the reset is %x", p.Data)
	}
	v.put("reset", p.Data)

	v.say("Frames.")
	frame := func(what string, f wire.Frame) { v.put(what, f.Append(nil)) }
	frame("PING", wire.Frame{Type: wire.FramePing})
	ack := wire.Frame{Type: wire.FrameAckECN}
	ack.Ack.Delay, ack.Ack.CE = 1000*time.Microsecond, 3
	ack.Ack.AddRange(wire.Range{First: 98, Last: 100})
	ack.Ack.AddRange(wire.Range{First: 90, Last: 95})
	for _, at := range []time.Duration{time.Second, time.Second - 400*time.Microsecond, time.Second + 8*time.Microsecond} {
		ack.Ack.AddStamp(at)
	}
	frame("ACK of 98 to 100 and 90 to 95, 1 ms late, 3 CE marks, 100 at 1 s, 99 0.4 ms before that, 98 8 us behind 100", ack)
	frame("OPEN of object 7, endless, priority 1", wire.Frame{Type: wire.FrameOpen, ID: 7, Open: wire.Open{Endless: true, Priority: 1}})
	frame("CANCEL of object 7, charged 1064", wire.Frame{Type: wire.FrameCancel, ID: 7, Value: 1064})
	frame("EXPIRED of object 8, charged 0", wire.Frame{Type: wire.FrameExpired, ID: 8})
	frame("WINDOW of 5 MiB", wire.Frame{Type: wire.FrameWindow, Value: 5 << 20})
	frame("CHALLENGE 01 02 …", wire.Frame{Type: wire.FrameChallenge, Token: [8]byte(count(1, 8))})
	frame("RESPONSE 01 02 …", wire.Frame{Type: wire.FrameResponse, Token: [8]byte(count(1, 8))})
	frame("CLOSE with code 65540", wire.Frame{Type: wire.FrameClose, Value: codeReplaced})
	frame("OBJ of object 300, offset 20000, with a length", wire.Frame{Type: wire.FrameObj, ID: 300, Offset: 20000, Data: []byte("part")})

	v.say("A block: packets 70000 and 70002 hold PING, packet 70003 a part of an object.")
	shards := [][]byte{
		append(appendShardHeader(nil, 70000, 1), byte(wire.FramePing)),
		append(appendShardHeader(nil, 70002, 1), byte(wire.FramePing)),
	}
	part := wire.Frame{Type: wire.FrameObj, ID: 300, Offset: 20000, Data: []byte("part")}
	rest := part.Append(nil)
	shards = append(shards, append(appendShardHeader(nil, 70003, len(rest)), rest...))
	for i, s := range shards {
		v.put("shard", s)
		if i == 2 {
			frame("SHARD of block 9, index 2", wire.Frame{Type: wire.FrameShard, ID: 9, Index: 2})
		}
	}
	for j := range 3 {
		data := make([]byte, len(shards[2]))
		encode(data, shards, j)
		frame("PARITY", wire.Frame{Type: wire.FrameParity, ID: 9, Shards: 3, Index: uint8(j), Data: data})
	}
	recovered := wire.Frame{Type: wire.FrameRecovered}
	recovered.SetNumbers([]uint64{70003, 70000})
	frame("RECOVERED 70003 and 70000", recovered)

	if *update {
		if err := os.WriteFile(vectorFile, []byte(v.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(v.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("line %d of %s is\n%s\nand this implementation says\n%s", i+1, vectorFile, line, strings.Join(got[min(i, len(got)-1):min(i+1, len(got))], ""))
		}
		if name, value, ok := strings.Cut(line, ": "); ok && name[0] != '#' {
			if _, err := hex.DecodeString(value); err != nil {
				t.Errorf("line %d: %v", i+1, err)
			}
		}
	}
	if strings.Count(string(want), "\n") != len(got)-1 {
		t.Errorf("%s is shorter", vectorFile)
	}
}
