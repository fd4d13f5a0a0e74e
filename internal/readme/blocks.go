package readme

import (
	"fmt"
	"regexp"
	"strings"
)

// Block is a fenced block of commands.
type Block struct {
	// Line is the number of its first line in the file, from 1.
	Line int
	// Script is its text.
	Script string
	// Background says that the block keeps running while the next ones run; it is ready when it has printed Ready.
	Background bool
	Ready      string
	// NotRun is the reason why it is not run, "" if it is.
	NotRun string
}

var remark = regexp.MustCompile(`^<!-- (background|not run): (.+) -->$`)

// Blocks returns the blocks marked sh of a Markdown text, in order. A comment without a block and a block without an end are errors.
func Blocks(text string) ([]Block, error) {
	var blocks []Block
	var next Block
	remarked := 0
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \r")
		if m := remark.FindStringSubmatch(line); m != nil {
			if remarked != 0 {
				return nil, fmt.Errorf("line %d: a second remark; the one in line %d has no block yet", i+1, remarked)
			}
			remarked = i + 1
			if m[1] == "background" {
				next.Background, next.Ready = true, m[2]
			} else {
				next.NotRun = m[2]
			}
			continue
		}
		if !strings.HasPrefix(line, "```") {
			if remarked != 0 && strings.TrimSpace(line) != "" {
				return nil, fmt.Errorf("line %d: the remark is not followed by a block", remarked)
			}
			continue
		}
		begin, language := i, strings.TrimPrefix(line, "```")
		for i++; i < len(lines) && strings.TrimRight(lines[i], " \r") != "```"; i++ {
			if language == "sh" {
				next.Script += lines[i] + "\n"
			}
		}
		if i == len(lines) {
			return nil, fmt.Errorf("line %d: the block has no end", begin+1)
		}
		if language == "sh" {
			next.Line = begin + 1
			blocks = append(blocks, next)
		} else if remarked != 0 {
			return nil, fmt.Errorf("line %d: the remark stands before a block that is not marked sh", remarked)
		}
		next, remarked = Block{}, 0
	}
	if remarked != 0 {
		return nil, fmt.Errorf("line %d: the remark is not followed by a block", remarked)
	}
	return blocks, nil
}

// Quote is a fenced block that shows parts of a file.
type Quote struct {
	// Line is the number of its first line in the document, from 1.
	Line int
	// File is the path of the file in the project.
	File string
	// Parts are the texts that the file contains, in this order. In the block a comment with nothing but an ellipsis stands between them.
	Parts []string
}

var (
	from     = regexp.MustCompile(`^<!-- from: (.+) -->$`)
	ellipsis = regexp.MustCompile(`^\s*(//|#) …$`)
)

// Quotes returns the blocks of a Markdown text that show parts of files, in order. A comment that is not directly followed by a block is an
// error.
func Quotes(text string) ([]Quote, error) {
	var quotes []Quote
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		m := from.FindStringSubmatch(strings.TrimRight(lines[i], " \r"))
		if m == nil {
			continue
		}
		remarked := i + 1
		if i++; i == len(lines) || !strings.HasPrefix(lines[i], "```") {
			return nil, fmt.Errorf("line %d: the remark is not followed by a block", remarked)
		}
		quote := Quote{Line: i + 1, File: m[1], Parts: []string{""}}
		for i++; i < len(lines) && strings.TrimRight(lines[i], " \r") != "```"; i++ {
			if ellipsis.MatchString(lines[i]) {
				quote.Parts = append(quote.Parts, "")
				continue
			}
			quote.Parts[len(quote.Parts)-1] += lines[i] + "\n"
		}
		if i == len(lines) {
			return nil, fmt.Errorf("line %d: the block has no end", quote.Line)
		}
		quotes = append(quotes, quote)
	}
	return quotes, nil
}

// Missing returns the first part that the content of the file does not contain behind the parts before it, "" if there is none. Parts are
// whole lines.
func (q Quote) Missing(content string) string {
	content = "\n" + content
	for _, part := range q.Parts {
		_, rest, ok := strings.Cut(content, "\n"+part)
		if !ok || part == "" {
			return part + "\n"
		}
		content = "\n" + rest
	}
	return ""
}
