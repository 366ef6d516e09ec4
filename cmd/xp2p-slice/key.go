package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xp2p/xp2p/lib/tool"
)

const pemType = "PRIVATE KEY" // RFC 5958, as in RFC 8410 §7

// loadKey reads the signing key, or makes it if there is none. Without a name
// the key is made and kept nowhere.
func loadKey(name string) (key ed25519.PrivateKey, made bool, err error) {
	if name == "" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
		return key, true, err
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(name)
		return key, true, err
	}
	if err != nil {
		return nil, false, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return nil, false, tool.BadData("%s: not a private key in PEM", name).Hint("without the file, --key makes one")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false, tool.BadData("%s: %w", name, err)
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, false, tool.BadData("%s: not an Ed25519 key", name)
	}
	return key, false, nil
}

// makeKey writes a new key under a temporary name, for its owner alone, and
// links it into place, so that two that start at once agree on one.
func makeKey(name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err = errors.Join(pem.Encode(f, &pem.Block{Type: pemType, Bytes: der}), f.Sync(), f.Close()); err != nil {
		os.Remove(name)
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}
