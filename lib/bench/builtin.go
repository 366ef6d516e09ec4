package bench

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

//go:embed scenarios/*.json
var scenarios embed.FS

// ErrUnknownScenario says that a name is neither that of a built-in scenario
// nor that of a file.
var ErrUnknownScenario = errors.New("no such scenario")

// Names lists the built-in scenarios in alphabetical order.
func Names() (names []string) {
	entries, err := fs.ReadDir(scenarios, "scenarios")
	if err != nil {
		panic(err) // it is part of the binary
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

// Load returns the built-in scenario of this name, else reads the file. A name
// that is neither and has neither slash nor dot is ErrUnknownScenario.
func Load(nameOrFile string) (*Scenario, error) {
	b, err := scenarios.ReadFile(path.Join("scenarios", nameOrFile+".json"))
	if err != nil || strings.Contains(nameOrFile, "/") {
		b, err = readScenario(nameOrFile)
	}
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(nameOrFile, `/\`) && !strings.HasSuffix(nameOrFile, ".json") {
		return nil, fmt.Errorf("%w: %q", ErrUnknownScenario, nameOrFile)
	}
	if err != nil {
		return nil, err
	}
	s, err := ParseScenario(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameOrFile, err)
	}
	return s, nil
}

// readScenario reads no more than shows that a file is too long.
func readScenario(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxScenario+1))
}
