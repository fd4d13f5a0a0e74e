package main

import (
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// recommenderKinds returns the names of all recommenders.
func recommenderKinds() []string {
	var names []string
	for _, k := range recommend.Kinds() {
		names = append(names, k[0])
	}
	return names
}

// recommenderNames lists them for a sentence.
func recommenderNames() string { return strings.Join(recommenderKinds(), ", ") }

// checkRecommender reports a name that is none.
func checkRecommender(name string) error {
	if _, err := recommend.New(name, recommend.Options{}); err != nil {
		return cli.Usagef("%v: it is one of %s", err, recommenderNames())
	}
	return nil
}
