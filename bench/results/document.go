package main

import (
	"fmt"
	"strings"
)

// Marks of what a command has printed.
const (
	beginPrinted = "<!-- printed -->"
	endPrinted   = "<!-- end -->"
)

// block is a part of a document: text, then perhaps a command and what it has printed.
type block struct {
	// text is everything up to the end of the command's block, or of the document.
	text string
	// heading is the last one above the command.
	heading, command string
	// printed says that what the command prints stands behind it, which is output.
	printed bool
	output  string
}

// parse divides a document. What join makes of the blocks is the document.
func parse(text string) ([]block, error) {
	var blocks []block
	var b block
	heading := ""
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \r\n")
		switch {
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
			b.text += lines[i]
		case strings.HasPrefix(line, "```"):
			begin := i
			b.text += lines[i]
			b.command, b.heading = "", heading
			for i++; i < len(lines) && strings.TrimRight(lines[i], " \r\n") != "```"; i++ {
				if line == "```sh" {
					b.command += lines[i]
				}
				b.text += lines[i]
			}
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: the block has no end", begin+1)
			}
			b.text += lines[i]
		case line == beginPrinted:
			begin := i
			if b.command == "" {
				return nil, fmt.Errorf("line %d: there is no command above that prints this", begin+1)
			}
			b.printed = true
			for i++; i < len(lines) && strings.TrimRight(lines[i], " \r\n") != endPrinted; i++ {
				b.output += lines[i]
			}
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: %s is missing below it", begin+1, endPrinted)
			}
			blocks = append(blocks, b)
			b = block{}
		default:
			b.text += lines[i]
		}
	}
	return append(blocks, b), nil
}

// join returns the document of blocks.
func join(blocks []block) string {
	var out strings.Builder
	for _, b := range blocks {
		out.WriteString(b.text)
		if b.printed {
			output := strings.Trim(b.output, "\n")
			if output != "" {
				output += "\n\n"
			}
			fmt.Fprintf(&out, "%s\n\n%s%s\n", beginPrinted, output, endPrinted)
		}
	}
	return out.String()
}
