package tool

import (
	"io"
	"os"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// Styles are the six ways in which text for people may stand out. Colour only
// repeats what a word says; without colour the words are all there is.
type Styles struct {
	OK, Warn, Bad, Dim, Title, Value func(text ...string) string
}

// newStyles makes a renderer for one stream. lipgloss's own default judges by
// os.Stdout, which is a pipe exactly when a person watches stderr, and asks the
// terminal for its background, which would eat the first bytes of stdin.
func newStyles(w io.Writer, color bool) Styles {
	r := lipgloss.NewRenderer(w)
	r.SetHasDarkBackground(true)
	r.SetColorProfile(termenv.Ascii)
	if color {
		r.SetColorProfile(termenv.ANSI)
	}
	style := func() lipgloss.Style { return r.NewStyle().TabWidth(lipgloss.NoTabConversion) }
	return Styles{
		OK:    style().Foreground(lipgloss.Color("2")).Render,
		Warn:  style().Foreground(lipgloss.Color("3")).Render,
		Bad:   style().Foreground(lipgloss.Color("1")).Bold(true).Render,
		Dim:   style().Faint(true).Render,
		Title: style().Bold(true).Render,
		Value: style().Foreground(lipgloss.Color("6")).Render,
	}
}

// wantsColor decides for one stream: the flag, then NO_COLOR and CLICOLOR, then
// whether a terminal that knows colours is there.
func wantsColor(flag string, terminal bool) bool {
	switch {
	case flag == "always":
		return true
	case flag == "never", os.Getenv("NO_COLOR") != "":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		return true
	case os.Getenv("CLICOLOR") == "0", os.Getenv("TERM") == "dumb":
		return false
	}
	return terminal
}
