package main

import (
	_ "embed"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/tool"
)

//go:embed doc.go
var manual string

func main() { tool.Main(command(bench.Simulate)) }

// command is xp2p-bench, with what carries out a run of a swarm.
func command(simulate bench.Runner) *tool.Command {
	return &tool.Command{
		Name:    "xp2p-bench",
		Summary: "measure xp2p: every value beside the bound that no system can pass",
		Manual:  manual,
		Verbs: []*tool.Command{
			swarmCommand(simulate),
			scenariosCommand(),
			natlabCommand(),
			transportCommand(),
			serveCommand(),
			suiteCommand(),
			manyCommand(),
			abrCommand(),
		},
	}
}
