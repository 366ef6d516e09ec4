package lib

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/xp2p/xp2p/"

// A room of the house: its level, its column, what it may import from lib and
// which third-party modules have their door here.
type room struct {
	level  int
	column string
	lib    string // packages of lib, separated by spaces
	third  string // import path prefixes, separated by spaces
}

const (
	rind  = "rind"
	core  = "core"
	mediA = "media"
)

// house is the import table. A row stands here from the day its package is
// born; a package without a row, or an import without a word here, fails.
var house = map[string]room{
	"media":      {0, mediA, "", ""},
	"machine":    {0, core, "", ""},
	"flv":        {1, mediA, "media", "github.com/yutopp/go-flv"},
	"fmp4":       {1, mediA, "media", "github.com/Eyevinn/mp4ff"},
	"congestion": {1, core, "", ""},
	"nat":        {1, core, "", ""},
	"wire":       {1, core, "", "github.com/pion/stun/v2"},
	"measure":    {1, core, "", ""},
	"zone":       {1, core, "", ""},
	"segment":    {2, mediA, "media flv fmp4", ""},
	"abr":        {3, mediA, "media flv fmp4 segment", ""},
	"squeeze":    {2, mediA, "media flv fmp4", ""},
	"topology":   {2, core, "nat", ""},
	"swarm":      {3, core, "wire topology segment measure media", ""},
	"playout":    {3, core, "segment measure media", ""},
	"tracker":    {3, core, "wire topology nat zone measure", ""},
	"xntp":       {3, core, "machine wire congestion", "github.com/flynn/noise golang.org/x/crypto"},
	"natprobe":   {3, core, "machine wire nat", ""},
	"punch":      {3, core, "machine wire nat", ""},
	"node":       {4, core, "machine nat swarm playout punch xntp natprobe wire segment measure media", ""},
	"store":      {4, rind, "segment media", ""},
	"zonefile":   {5, rind, "zone", "github.com/oschwald/maxminddb-golang/v2"},
	"qlog":       {5, rind, "xntp wire", ""},
	"stream":     {4, rind, "", ""},
	"endpoint":   {5, rind, "machine stream", "golang.org/x/net golang.org/x/sys"},
	"simnet":     {5, rind, "machine nat wire", ""},
	"relay":      {5, rind, "stream wire", "github.com/pion/turn/v3 github.com/pion/logging"},
	"signal":     {5, rind, "tracker wire", "github.com/coder/websocket"},
	"origin":     {5, rind, "store segment squeeze flv fmp4 media", "golang.org/x/sync"},
	"tunnel":     {5, rind, "node wire xntp", ""},
	"portmap":    {5, rind, "nat wire", "github.com/huin/goupnp github.com/jackpal/go-nat-pmp github.com/jackpal/gateway"},
	"bridge":     {5, rind, "abr media", ""},
	"monitor":    {5, rind, "measure", "github.com/prometheus/client_golang"},
	"netlab":     {5, rind, "nat", "golang.org/x/sys"},
	"udplink":    {5, rind, "", "golang.org/x/sys"},
	// Pages of two kinds of measurements share their pictures.
	"bench/chart": {1, rind, "", ""},
	// What is measured against is imported by the package that measures, alone.
	"bench/rival":     {6, rind, "congestion endpoint xntp", "github.com/quic-go/quic-go github.com/datarhei/gosrt github.com/xtaci/kcp-go/v5 github.com/anacrolix/utp golang.org/x/sys"},
	"bench/transport": {7, rind, "bench/chart bench/rival netlab udplink", ""},
	"bench/many":      {6, rind, "machine endpoint wire xntp", ""},
	"discovery":       {6, rind, "endpoint machine nat natprobe portmap wire", ""},
	"bench/switching": {7, rind, "", ""},
	"flownet":         {6, rind, "machine xntp simnet", ""},
	"bench":           {7, rind, "bench/chart machine wire nat zone measure media segment topology tracker swarm playout xntp node simnet flownet netlab store origin signal monitor", ""},
	"tool":            {6, rind, "", "github.com/urfave/cli/v2 github.com/charmbracelet/lipgloss github.com/muesli/termenv golang.org/x/term"},
}

// impure lists what core and media may not touch: the reason a machine can be
// run ten thousand times over under a virtual clock.
var impure = map[string]string{
	"net":            "sockets belong to the rind (net/netip is fine)",
	"net/http":       "sockets belong to the rind",
	"os":             "files belong to the rind",
	"os/signal":      "processes belong to the rind",
	"os/exec":        "processes belong to the rind",
	"log":            "a machine reports events, it does not log",
	"log/slog":       "a machine reports events, it does not log",
	"sync":           "a machine has one owner",
	"sync/atomic":    "a machine has one owner",
	"math/rand":      "randomness is injected (math/rand/v2's types are fine)",
	"time.Now":       "now is an argument",
	"time.Since":     "now is an argument",
	"time.Until":     "now is an argument",
	"time.After":     "a machine has NextTimeout",
	"time.Sleep":     "a machine has NextTimeout",
	"time.Tick":      "a machine has NextTimeout",
	"time.NewTimer":  "a machine has NextTimeout",
	"time.NewTicker": "a machine has NextTimeout",
	"time.AfterFunc": "a machine has NextTimeout",
}

// globalRand are the only names of math/rand/v2 that a machine may use: types
// and constructors, never the global source.
var globalRand = []string{"Rand", "New", "NewPCG", "PCG", "Source", "NewChaCha8", "ChaCha8", "Zipf", "NewZipf"}

type file struct {
	pkg  string // path below lib
	name string
	ast  *ast.File
}

func parseLib(t *testing.T) (files []file, fset *token.FileSet) {
	t.Helper()
	fset = token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") || path.Dir(p) == "." {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, file{filepath.ToSlash(filepath.Dir(p)), p, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, fset
}

func imports(f *ast.File) (paths []string) {
	for _, s := range f.Imports {
		p, _ := strconv.Unquote(s.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func TestPackagesImportOnlyWhatTheHouseAllows(t *testing.T) {
	files, _ := parseLib(t)
	for _, f := range files {
		if strings.HasPrefix(f.pkg, "internal/") {
			continue // small data structures: no rows, and no imports from lib
		}
		r, ok := house[f.pkg]
		if !ok {
			t.Errorf("%s: package %s has no row in the house", f.name, f.pkg)
			continue
		}
		for _, p := range imports(f.ast) {
			switch {
			case strings.HasPrefix(p, module+"lib/internal/"):
			case strings.HasPrefix(p, module):
				name := strings.TrimPrefix(p, module+"lib/")
				if !slices.Contains(strings.Fields(r.lib), name) {
					t.Errorf("%s: %s may not import %s", f.name, f.pkg, name)
				} else if house[name].level >= r.level {
					t.Errorf("%s: %s (level %d) looks up to %s (level %d)", f.name, f.pkg, r.level, name, house[name].level)
				}
			case strings.Contains(strings.SplitN(p, "/", 2)[0], "."):
				allowed := slices.ContainsFunc(strings.Fields(r.third), func(door string) bool {
					return p == door || strings.HasPrefix(p, door+"/")
				})
				if !allowed {
					t.Errorf("%s: the door of %s is not in %s", f.name, p, f.pkg)
				}
			}
		}
	}
}

func TestInternalStructuresAreLeaves(t *testing.T) {
	files, _ := parseLib(t)
	for _, f := range files {
		if !strings.HasPrefix(f.pkg, "internal/") {
			continue
		}
		for _, p := range imports(f.ast) {
			if strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				t.Errorf("%s: a small data structure imports %s", f.name, p)
			}
		}
	}
}

func TestCoreAndMediaHaveNoClockLockSocketOrLog(t *testing.T) {
	files, fset := parseLib(t)
	for _, f := range files {
		if house[f.pkg].column == rind || strings.HasPrefix(f.pkg, "internal/test") {
			continue // what only tests import may run ffmpeg
		}
		at := func(n ast.Node) string { return fset.Position(n.Pos()).String() }
		for _, s := range f.ast.Imports {
			p, _ := strconv.Unquote(s.Path.Value)
			if why, bad := impure[p]; bad {
				t.Errorf("%s: imports %s: %s", at(s), p, why)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a go statement: goroutines belong to the rind", at(n))
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok || x.Obj != nil {
					break
				}
				if why, bad := impure[x.Name+"."+n.Sel.Name]; bad {
					t.Errorf("%s: %s.%s: %s", at(n), x.Name, n.Sel.Name, why)
				}
				if x.Name == "rand" && slices.Contains(imports(f.ast), "math/rand/v2") && !slices.Contains(globalRand, n.Sel.Name) {
					t.Errorf("%s: rand.%s: randomness is injected", at(n), n.Sel.Name)
				}
				if x.Name == "rand" && slices.Contains(imports(f.ast), "crypto/rand") {
					t.Errorf("%s: crypto/rand.%s: entropy is injected as an io.Reader", at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	files, _ := parseLib(t)
	doc := map[string]bool{}
	for _, f := range files {
		doc[f.pkg] = doc[f.pkg] || f.ast.Doc != nil
	}
	for pkg, ok := range doc {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}
