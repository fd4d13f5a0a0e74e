// Package readme holds the project's README to its word: its test runs every command that the README shows.
//
// A fenced block marked sh is run by bash, line after line, in a copy of the project; the blocks share one folder, in their
// order, so that what one writes the next can read. An HTML comment before a block says what is different about it:
//
//	<!-- background: READY -->   the block goes on running while the others are run; it is ready when it prints READY
//	<!-- not run: REASON -->     the block is not run
package readme
