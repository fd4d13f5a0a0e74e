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
