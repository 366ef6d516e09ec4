package chart

import (
	_ "embed"
	"html/template"
)

//go:embed style.css
var style string

// Style is the style of a page with charts: its colours by class, its tables.
var Style = template.CSS(style)
