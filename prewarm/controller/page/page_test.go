package page

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o777))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o666))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test . -update writes it")
	require.Equal(t, string(want), got)
}

// get returns what a page answers to a request.
func get(t *testing.T, p http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// TestHTML compares the page of the scenario with a golden file. What came from outside is text in it, and no part of it.
func TestHTML(t *testing.T) {
	s := scenario(90 * time.Second)
	s.Mode, s.ModeReason = controller.Paused, `<script>alert(1)</script> "asked for"`
	w := get(t, New(newFake(s), Options{}), "/")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Body.String(), "ZgotmplZ", "the template has refused a value")
	require.NotContains(t, w.Body.String(), "<script>alert")
	golden(t, "page.html", w.Body.String())
}

// TestPageNeedsNothingElse checks that the page asks for nothing but what it serves itself, has nothing that its policy for contents would refuse,
// and that the policy admits nothing else.
func TestPageNeedsNothingElse(t *testing.T) {
	p := New(newFake(scenario(time.Minute)), Options{})
	w := get(t, p, "/")
	text := w.Body.String()
	policy := w.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	require.NotContains(t, policy, "*")
	require.NotRegexp(t, `<style|\sstyle=|\son[a-z]+=|javascript:`, text)
	require.NotRegexp(t, `<script(>| [^>]*>[^<])`, text, "a script in the page itself")
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"#]*)"`).FindAllStringSubmatch(text, -1) {
		require.True(t, strings.HasPrefix(m[1], "/"), m[1])
		require.False(t, strings.HasPrefix(m[1], "//"), m[1])
		answer := get(t, p, m[1])
		require.Equal(t, http.StatusOK, answer.Code, m[1])
		require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
	}
	for name, a := range assets {
		require.Contains(t, text, `"/assets/`+name+`"`, "the page does not use it")
		for _, m := range regexp.MustCompile(`\bhttps?://[^\s"'<>)]+`).FindAllString(string(a.content), -1) {
			require.Contains(t, []string{"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}, m, name)
		}
		require.NotRegexp(t, `innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`, string(a.content), name)
	}
}

// TestPageNamesWhatScriptsUse checks that the elements that scripts look for by their ids are in the page.
func TestPageNamesWhatScriptsUse(t *testing.T) {
	used := 0
	for _, name := range []string{"page.js", "plots.js"} {
		for _, m := range regexp.MustCompile(`(?:\$|getElementById)\("([^"]+)"\)`).FindAllStringSubmatch(string(assets[name].content), -1) {
			used++
			require.Contains(t, pageText, `id="`+m[1]+`"`)
		}
	}
	require.Greater(t, used, 30)
}

// TestStateIsServed checks that the JSON is the state, and that nobody keeps it.
func TestStateIsServed(t *testing.T) {
	s := scenario(time.Minute)
	w := get(t, New(newFake(s), Options{}), "/v1/state")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var got controller.State
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, s, &got)
}

// TestOtherRequestsAreRefused checks paths and methods that there are not.
func TestOtherRequestsAreRefused(t *testing.T) {
	p := New(newFake(scenario(time.Minute)), Options{})
	require.Equal(t, http.StatusNotFound, get(t, p, "/other").Code)
	require.Equal(t, http.StatusNotFound, get(t, p, "/assets/").Code)
	require.Equal(t, http.StatusNotFound, get(t, p, "/assets/uplot/VERSIONS").Code)
	for _, path := range []string{"/", "/v1/state", "/v1/events", "/metrics"} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, path)
	}
}

// TestAssetsAreKept checks that a browser which has a file is told that it is the same.
func TestAssetsAreKept(t *testing.T) {
	p := New(newFake(scenario(time.Minute)), Options{})
	first := get(t, p, "/assets/page.js")
	require.Equal(t, "text/javascript; charset=utf-8", first.Header().Get("Content-Type"))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/assets/page.js", nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Empty(t, w.Body.Bytes())
}

// TestFilesOfOthersAreUnchanged checks the files in assets/uplot against the sums of VERSIONS, and that none is without a sum.
func TestFilesOfOthersAreUnchanged(t *testing.T) {
	text, err := assetFiles.ReadFile("assets/uplot/VERSIONS")
	require.NoError(t, err)
	sums := map[string]string{}
	version := ""
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case fields[0] == "package":
			require.Equal(t, "uplot", fields[1])
			version = fields[2]
		case len(fields) == 2 && len(fields[0]) == 64:
			sums[fields[1]] = fields[0]
		}
	}
	entries, err := assetFiles.ReadDir("assets/uplot")
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() == "VERSIONS" {
			continue
		}
		content, err := assetFiles.ReadFile("assets/uplot/" + e.Name())
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		require.Equal(t, sums[e.Name()], hex.EncodeToString(sum[:]), e.Name())
		delete(sums, e.Name())
	}
	require.Empty(t, sums, "files that are not there")
	require.Contains(t, string(assets["uplot/uPlot.iife.min.js"].content[:100]), "v"+version)
}
