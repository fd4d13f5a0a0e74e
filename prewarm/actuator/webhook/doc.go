// Package webhook sends commands to a program of one's own: as JSON, signed, and again with the same key where no answer came.
//
//	a, err := webhook.New(webhook.Options{URL: "https://warmer.example.com/commands", Secret: secret})
//	…
//	results, err := a.Act(ctx, actuator.Command{ID: 7, Kind: actuator.Warm, Function: "checkout", N: 2, Until: time.Now().Add(time.Minute)})
//
// docs/actuators.md describes requests and answers, and how the signature is checked.
package webhook
