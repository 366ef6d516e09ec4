package tool

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const pemType = "PRIVATE KEY" // RFC 5958, as in RFC 8410 §7

// LoadKey reads a room's signing key, or makes it if there is none. Without a name
// the key is made and kept nowhere.
func LoadKey(name string) (key ed25519.PrivateKey, made bool, err error) {
	if name == "" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
		return key, true, err
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(name)
		if !errors.Is(err, fs.ErrExist) {
			return key, true, err
		}
		b, err = os.ReadFile(name) // another program was quicker
	}
	if err != nil {
		return nil, false, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return nil, false, BadData("%s: not a private key in PEM", name).Hint("without the file, --key makes one")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false, BadData("%s: %w", name, err)
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, false, BadData("%s: not an Ed25519 key", name)
	}
	return key, false, nil
}

// makeKey writes a new key under a temporary name, for its owner alone, and
// links it into place, so that programs that start at once agree on one:
// fs.ErrExist says that there is one now.
func makeKey(name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	defer os.Remove(f.Name())
	if err = errors.Join(pem.Encode(f, &pem.Block{Type: pemType, Bytes: der}), f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), name)
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}
