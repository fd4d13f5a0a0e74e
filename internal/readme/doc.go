// Package readme checks the project's README and handbook: its tests run every command that they show, follow their links, and compare the code
// that they quote with its files.
//
// Each fenced block marked sh is run by bash in a copy of the project. The blocks run one after the other in the same folder, so that later ones can
// read what earlier ones have written. An HTML comment before a block changes how it is run:
//
//	<!-- background: READY -->   the block keeps running while the next ones run; it is ready when it prints READY
//	<!-- not run: REASON -->     the block is not run
//
// A block of code that stands directly below
//
//	<!-- from: FILE -->
//
// has lines of that file as they are; a comment with nothing but … stands for lines that are left out.
package readme
