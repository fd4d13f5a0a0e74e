// Package manifest reads and writes the limits and requests of functions in the files that people keep them in: stack.yml of OpenFaaS, and manifests
// of Kubernetes. Everything else in a file stays as it is to the byte: comments, blank lines, quotes, order, line endings.
//
//	edit, err := manifest.Set(text, manifest.Target{Function: "qrcode"}, manifest.Resources{MemoryLimit: "64Mi", CPULimit: "100m"})
//	if err != nil {
//		return err
//	}
//	fmt.Print(manifest.Diff("stack.yml", text, edit.Text))
//	_, err = manifest.WriteFile("stack.yml", text, edit.Text)
//
// A file is parsed, changed at the places of the scalars, and parsed again: unless exactly the wanted values have changed, Set returns an error. A value
// that other functions share through an anchor or a merge key is not changed in place; the function gets a key of its own.
package manifest
