package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/tool"
)

func scenariosCommand() *tool.Command {
	return &tool.Command{
		Name:    "scenarios",
		Summary: "list the built-in scenarios, or print one as JSON",
		Args:    "[NAME|FILE]",
		Run: func(_ context.Context, t *tool.IO, args []string) error {
			if len(args) > 1 {
				return tool.Usage("one scenario at most, got %d", len(args))
			}
			if len(args) == 1 {
				return printScenario(t, args[0])
			}
			return listScenarios(t)
		},
	}
}

// printScenario writes it with all that it did not say, to be changed and given
// to swarm.
func printScenario(t *tool.IO, name string) error {
	s, err := loadScenario(t, name)
	if err != nil {
		return err
	}
	_, err = t.Out.Write(s.JSON())
	return err
}

// listScenarios writes a line for each: its first sentence.
func listScenarios(t *tool.IO) error {
	w := tabwriter.NewWriter(t.Out, 0, 0, 3, ' ', 0)
	for _, name := range bench.Names() {
		s, err := bench.Load(name)
		if err != nil {
			return err
		}
		about, _, _ := strings.Cut(s.About, ". ")
		fmt.Fprintf(w, "%s\t%s\n", name, strings.TrimSuffix(about, "."))
	}
	return w.Flush()
}
