package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

var tag = RoomTag{1, 2, 3, 4}

// messages are one of each kind, with what parsing them must give.
func swarmMessages() (list []struct {
	name string
	b    []byte
	want Swarm
}) {
	runs := []Run{{Epoch: 1_700_000_000_000, Seq: 12, First: 3, Bits: []byte{0x81, 1}}, {Epoch: 1_700_000_000_000, Seq: 13, Bits: []byte{7}},
		{Epoch: 1_700_000_000_001, Seq: -5, First: 40, Bits: []byte{1}}}
	add := func(name string, b []byte, want Swarm) {
		want.Room = tag
		list = append(list, struct {
			name string
			b    []byte
			want Swarm
		}{name, b, want})
	}
	hello := Hello{Flags: HelloUpload | HelloReply, Name: "match", UplinkKbps: 4000, WindowKiB: 1024}
	add("hello", AppendHello(nil, tag, &hello), Swarm{Type: SwarmHello, Hello: hello})
	piece := PieceMessage{Flags: PieceDistribute, Hops: 1, IngestMS: 1_700_000_000_123, Descriptor: []byte("descriptor"), Body: []byte("body")}
	add("piece", append(AppendPieceHead(nil, tag, &piece), piece.Body...), Swarm{Type: SwarmPiece, Piece: piece})
	add("init", append(AppendInitHead(nil, tag, []byte("d")), "moov"...), Swarm{Type: SwarmInit, Init: InitMessage{Descriptor: []byte("d"), Body: []byte("moov")}})
	add("record", AppendRecord(nil, tag, PieceDistribute, []byte("{}")), Swarm{Type: SwarmRecord, Record: RecordMessage{Flags: PieceDistribute, Descriptor: []byte("{}")}})
	add("have", AppendHave(nil, tag, HaveSnapshot, runs), Swarm{Type: SwarmHave, Flags: HaveSnapshot, Runs: runs})
	add("want", AppendWant(nil, tag, WantUrgent, 350, runs[:1]), Swarm{Type: SwarmWant, Flags: WantUrgent, Budget: 350, Runs: runs[:1]})
	add("cancel", AppendCancel(nil, tag, runs[1:2]), Swarm{Type: SwarmCancel, Runs: runs[1:2]})
	add("gone", AppendGone(nil, tag, runs[2:]), Swarm{Type: SwarmGone, Runs: runs[2:]})
	add("ask-init", AppendAskInit(nil, tag, [32]byte{9}), Swarm{Type: SwarmAskInit, Hash: [32]byte{9}})
	bye := Bye{Code: ByePolluted, Reason: "bad bytes"}
	add("bye", AppendBye(nil, tag, &bye), Swarm{Type: SwarmBye, Bye: bye})
	report := ReportMessage{UniqueBytes: 1 << 40, DuplicateBytes: 16384, LagMS: 87, Missing: 2}
	add("report", AppendReport(nil, tag, &report), Swarm{Type: SwarmReport, Report: report})
	add("busy", AppendBusy(nil, tag, runs[:2]), Swarm{Type: SwarmBusy, Runs: runs[:2]})
	add("from", AppendFrom(nil, tag, runs[2]), Swarm{Type: SwarmFrom, Runs: runs[2:]})
	due := Due{Epoch: 1_700_000_000_123, DTS: -40, LeftMS: 760}
	add("due", AppendDue(nil, tag, due), Swarm{Type: SwarmDue, Due: due})
	receipt := testReceipt(3, 4, 1<<40)
	add("receipt", AppendReceipt(nil, tag, &receipt), Swarm{Type: SwarmReceipt, Receipt: &receipt})
	return list
}

func TestSwarmMessagesSayWhatTheyWereGiven(t *testing.T) {
	for _, m := range swarmMessages() {
		got, err := ParseSwarm(m.b)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if !reflect.DeepEqual(got, m.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", m.name, got, m.want)
		}
		if got.Type.String() != m.name {
			t.Errorf("%s is called %s", m.name, got.Type)
		}
	}
}

func TestSwarmMessagesCutShortOrTooLongAreRefused(t *testing.T) {
	for _, m := range swarmMessages() {
		open := m.want.Type == SwarmPiece || m.want.Type == SwarmInit || m.want.Type == SwarmRecord
		head := len(m.b) - len(m.want.Piece.Body) - len(m.want.Init.Body)
		if m.want.Type == SwarmRecord {
			head = swarmHead + 1
		}
		for n := range head {
			if _, err := ParseSwarm(m.b[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes passed", m.name, n, len(m.b))
			}
		}
		if _, err := ParseSwarm(append(bytes.Clone(m.b), 0)); err == nil && !open {
			t.Errorf("%s: a byte too many passed", m.name)
		}
	}
	long := AppendHello(nil, tag, &Hello{Name: strings.Repeat("x", MaxSwarmName+1)})
	if _, err := ParseSwarm(long); err == nil {
		t.Error("a room's name beyond its bound passed")
	}
	if _, err := ParseSwarm([]byte{0, 1, 2, 3, 4}); err == nil {
		t.Error("type 0 passed")
	}
}

func TestABodyMayLieApartFromItsHead(t *testing.T) {
	for _, m := range swarmMessages() {
		body := len(m.want.Piece.Body) + len(m.want.Init.Body)
		head := bytes.Clone(m.b[:len(m.b)-body])
		tail := bytes.Clone(m.b[len(m.b)-body:])
		got, err := ParseSwarmParts(head, tail)
		if err != nil || !reflect.DeepEqual(got, m.want) {
			t.Errorf("%s in two parts: %+v, %v", m.name, got, err)
			continue
		}
		if body == 0 {
			if _, err := ParseSwarmParts(m.b, []byte{0}); err == nil {
				t.Errorf("%s, which has no body, passed with one", m.name)
			}
			continue
		}
		if b := append(got.Piece.Body, got.Init.Body...); &b[0] != &tail[0] && !bytes.Equal(b, tail) {
			t.Errorf("%s: the body is not what lay behind", m.name)
		}
		// Half of a body in each part is nobody's message, and a head needs its end.
		if _, err := ParseSwarmParts(m.b[:len(m.b)-1], m.b[len(m.b)-1:]); err == nil {
			t.Errorf("%s: a body torn in two passed", m.name)
		}
		for n := range head {
			if _, err := ParseSwarmParts(head[:n], tail); err == nil {
				t.Errorf("%s: the first %d bytes of a head of %d passed", m.name, n, len(head))
			}
		}
	}
}

func TestRunsAreBuiltPieceByPiece(t *testing.T) {
	var runs []Run
	ids := [][3]int64{{5, 1, 0}, {5, 1, 1}, {5, 1, 9}, {5, 1, 400}, {5, 2, 0}, {6, -1, 7}}
	for _, id := range ids {
		runs, _ = AppendToRuns(runs, id[0], id[1], int(id[2]))
	}
	if len(runs) != 4 {
		t.Errorf("%d runs: %+v", len(runs), runs)
	}
	var got [][3]int64
	for _, r := range runs {
		r.Each(func(i int) {
			got = append(got, [3]int64{r.Epoch, r.Seq, int64(i)})
			if !r.Has(i) {
				t.Errorf("%+v does not have %d", r, i)
			}
		})
	}
	if !reflect.DeepEqual(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
	if r := runs[0]; r.Has(-1) || r.Has(2) || r.Has(1000) {
		t.Error("a run has what was not put in")
	}
	for i := range MaxSwarmRuns {
		runs, _ = AppendToRuns(runs, 7, int64(i), 0)
	}
	if _, ok := AppendToRuns(runs, 8, 0, 0); ok || len(runs) != MaxSwarmRuns {
		t.Errorf("a list of %d runs took one more", len(runs))
	}
}

func FuzzSwarm(f *testing.F) {
	for _, m := range swarmMessages() {
		f.Add(m.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseSwarm(b)
		if err != nil {
			return
		}
		// What was understood can be said again, and means the same.
		var again []byte
		switch m.Type {
		case SwarmHello:
			again = AppendHello(nil, m.Room, &m.Hello)
		case SwarmPiece:
			again = append(AppendPieceHead(nil, m.Room, &m.Piece), m.Piece.Body...)
		case SwarmInit:
			again = append(AppendInitHead(nil, m.Room, m.Init.Descriptor), m.Init.Body...)
		case SwarmRecord:
			again = AppendRecord(nil, m.Room, m.Record.Flags, m.Record.Descriptor)
		case SwarmHave:
			again = AppendHave(nil, m.Room, m.Flags, m.Runs)
		case SwarmWant:
			again = AppendWant(nil, m.Room, m.Flags, m.Budget, m.Runs)
		case SwarmCancel:
			again = AppendCancel(nil, m.Room, m.Runs)
		case SwarmGone:
			again = AppendGone(nil, m.Room, m.Runs)
		case SwarmBusy:
			again = AppendBusy(nil, m.Room, m.Runs)
		case SwarmFrom:
			if len(m.Runs) != 1 {
				return // it names one piece; who gets another number of them ignores it
			}
			again = AppendFrom(nil, m.Room, m.Runs[0])
		case SwarmDue:
			again = AppendDue(nil, m.Room, m.Due)
		case SwarmAskInit:
			again = AppendAskInit(nil, m.Room, m.Hash)
		case SwarmBye:
			again = AppendBye(nil, m.Room, &m.Bye)
		case SwarmReport:
			again = AppendReport(nil, m.Room, &m.Report)
		case SwarmReceipt:
			again = AppendReceipt(nil, m.Room, m.Receipt)
		}
		m2, err := ParseSwarm(again)
		if err != nil || !reflect.DeepEqual(m, m2) {
			t.Fatalf("%x: %+v became %+v, %v", b, m, m2, err)
		}
		for _, r := range m.Runs {
			r.Each(func(i int) {
				if !r.Has(i) {
					t.Fatalf("run %+v: index %d", r, i)
				}
			})
		}
	})
}

func BenchmarkParseSwarmPiece(b *testing.B) {
	p := PieceMessage{Descriptor: make([]byte, 160), Body: make([]byte, 16<<10)}
	msg := append(AppendPieceHead(nil, tag, &p), p.Body...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSwarm(msg); err != nil {
			b.Fatal(err)
		}
	}
}
