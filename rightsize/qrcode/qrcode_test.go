package qrcode

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	goqr "github.com/piglig/go-qr"
	"github.com/stretchr/testify/require"
)

func TestHandler(t *testing.T) {
	call := func(method, path, text string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(text)))
		return w
	}
	for _, text := range []string{"a", "https://example.org/?q=1", strings.Repeat("x", 500)} {
		w := call(http.MethodPost, "/function/qrcode", text)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "image/png", w.Header().Get("Content-Type"))
		picture, err := png.Decode(bytes.NewReader(w.Body.Bytes()))
		require.NoError(t, err)
		read, err := goqr.Decode(picture)
		require.NoError(t, err)
		require.Equal(t, text, read)
	}
	require.Equal(t, http.StatusOK, call(http.MethodPost, "/", strings.Repeat("x", MaxSize)).Code)
	require.Equal(t, http.StatusOK, call(http.MethodPost, "/", "").Code)
	w := call(http.MethodPost, "/", strings.Repeat("x", MaxSize+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Equal(t, "the text has more than 2953 bytes: no QR code has room for it\n", w.Body.String())
	require.Equal(t, http.StatusOK, call(http.MethodGet, "/", "").Code)
	require.Equal(t, http.StatusMethodNotAllowed, call(http.MethodGet, "/x", "").Code)
}
