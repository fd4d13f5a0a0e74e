// Package htmlpage is what pages of HTML share that need nothing else, no script and no other file: a style for light, dark and paper, pictures in SVG
// whose colours it sets, and numbers as people read them.
//
//	p := htmlpage.NewPicture(180)
//	y, ticks := htmlpage.Linear(most, 150, 8)
//	for _, t := range ticks {
//		p.Line("grid", 46, y.At(t), htmlpage.Width-4, y.At(t))
//		p.Label("end", 42, y.At(t)+3, htmlpage.Seconds(t))
//	}
//	picture := p.Done("Waiting over time")
package htmlpage

import (
	_ "embed"
	"html/template"
)

//go:embed style.css
var style string

// Style returns the style sheet of a page.
func Style() template.CSS { return template.CSS(style) }
