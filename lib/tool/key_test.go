package tool

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestKeyFilesAreMadeOnceAndForTheirOwner(t *testing.T) {
	name := filepath.Join(t.TempDir(), "room.pem")
	a, made, err := LoadKey(name)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	i, err := os.Stat(name)
	if err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", i.Mode(), err)
	}
	b, made, err := LoadKey(name)
	if err != nil || made || !a.Equal(b) {
		t.Errorf("made again %v, %v", made, err)
	}
	os.WriteFile(name, []byte("hello"), 0o600)
	if _, _, err := LoadKey(name); err == nil {
		t.Error("any file is taken for a key")
	}
	c, _, err := LoadKey("")
	if err != nil || len(c) != ed25519.PrivateKeySize {
		t.Error(err)
	}
}

// The slicers of a room's renditions start at the same time, with one --key.
func TestProgramsThatStartAtOnceAgreeOnAKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "room.key")
	keys := make([]ed25519.PrivateKey, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], _, err = LoadKey(name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, k := range keys {
		if !k.Equal(keys[0]) {
			t.Errorf("program %d has another key", i)
		}
	}
}
