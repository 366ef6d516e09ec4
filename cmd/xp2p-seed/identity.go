package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/xntp"
)

// An identity is what makes a seed the same seed after a restart: the key that
// viewers dial, and the key that vouches for addresses.
type identity struct {
	xntp  xntp.PrivateKey
	token ed25519.PrivateKey
}

// identityFile is how it stands on disk: base64url without padding.
type identityFile struct {
	XNTP  string `json:"xntp"`
	Token string `json:"token"`
}

func newIdentity() (id identity, err error) {
	if id.xntp, err = xntp.GenerateKey(rand.Reader); err != nil {
		return id, err
	}
	_, id.token, err = ed25519.GenerateKey(rand.Reader)
	return id, err
}

// loadIdentity reads the file, or makes it. Without a name the identity is new.
func loadIdentity(file string) (identity, error) {
	if file == "" {
		return newIdentity()
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := newIdentity()
		if err != nil {
			return id, err
		}
		enc := base64.RawURLEncoding
		b, err := json.Marshal(identityFile{enc.EncodeToString(id.xntp[:]), enc.EncodeToString(id.token.Seed())})
		if err != nil {
			return id, err
		}
		return id, tool.WriteFile(file, append(b, '\n'), 0o600)
	}
	if err != nil {
		return identity{}, err
	}
	var f identityFile
	if err := json.Unmarshal(b, &f); err != nil {
		return identity{}, tool.BadData("--identity %s: %w", file, err)
	}
	x, errX := base64.RawURLEncoding.DecodeString(f.XNTP)
	t, errT := base64.RawURLEncoding.DecodeString(f.Token)
	if err := errors.Join(errX, errT); err != nil || len(x) != len(xntp.PrivateKey{}) || len(t) != ed25519.SeedSize {
		return identity{}, tool.BadData("--identity %s: %w", file, fmt.Errorf("not two keys of 32 bytes"))
	}
	return identity{xntp.PrivateKey(x), ed25519.NewKeyFromSeed(t)}, nil
}
