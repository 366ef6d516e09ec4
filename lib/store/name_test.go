package store

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{"match", "m", "0", "Match-2.final_cut", strings.Repeat("a", 64), "lives", "v1.0"} {
		if err := CheckName(good); err != nil {
			t.Errorf("CheckName(%q): %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".git", "-x", "_x", "a/b", "a\\b", "a b", "a\x00", "é", "a%2fb", strings.Repeat("a", 65), "live", "v1", "metrics", "healthz", "stat"} {
		if err := CheckName(bad); !errors.Is(err, ErrBadName) {
			t.Errorf("CheckName(%q): %v, want ErrBadName", bad, err)
		}
	}
}

// A name that passes is one path element that stays where it is put.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"match", "..", "a/../b", "live", "x.y-z_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		if p := path.Join("/store", name); p != "/store/"+name || path.Base(p) != name {
			t.Errorf("%q leads to %s", name, p)
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"1763782373000-812-3", "-1--2-0", "0-0-0", "1-2-03", "9223372036854775807-0-2147483647"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err == nil && FormatID(id) != s {
			t.Errorf("%q is another spelling of %s", s, FormatID(id))
		}
	})
}

func TestStore(t *testing.T) {
	s := New()
	r := newRoom(t, RoomConfig{})
	if err := s.Add(r); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(r); !errors.Is(err, ErrRoomExists) {
		t.Errorf("the same room again: %v", err)
	}
	if got, err := s.Room("match"); err != nil || got != r {
		t.Errorf("Room: %v, %v", got, err)
	}
	if _, err := s.Room("other"); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a room that is not there: %v", err)
	}
	if _, err := s.Room("../match"); !errors.Is(err, ErrBadName) {
		t.Errorf("a name with a slash: %v", err)
	}
	if list := s.Rooms(); len(list) != 1 || list[0] != r {
		t.Errorf("Rooms: %v", list)
	}
	if err := s.Remove("match"); err != nil || !r.Ended() {
		t.Errorf("Remove: %v", err)
	}
	if _, err := NewRoom(RoomConfig{Name: "stat", Key: testKey}); !errors.Is(err, ErrBadName) {
		t.Errorf("a reserved name: %v", err)
	}
}
