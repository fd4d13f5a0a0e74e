// Package controller runs a policy of package prewarm on a live platform: it takes observations from sources, keeps a mirror of the platform's
// containers with them, asks the policy, and has an actuator do what that decides.
package controller
