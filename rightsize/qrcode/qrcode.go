// Package qrcode is a small function for tests and demonstrations: it draws a QR code of what it is sent. The longer that is, the more processor time and memory
// it uses.
//
//	server := &http.Server{Addr: "127.0.0.1:8080", Handler: qrcode.Handler(), ReadHeaderTimeout: 10 * time.Second}
//	err := server.ListenAndServe()
package qrcode

import (
	"bytes"
	"errors"
	"image/color"
	"io"
	"net/http"
	"strconv"

	goqr "github.com/piglig/go-qr"
)

// MaxSize is the size of the largest text of which there is a QR code, in bytes.
const MaxSize = 2953

// scale is the size of a module of the code in pixels.
const scale = 8

// Handler returns the function: POST it a text, and it answers a PNG. GET / says that it is there.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "POST a text, and get its QR code.\n")
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxSize))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			http.Error(w, "the text has more than "+strconv.Itoa(MaxSize)+" bytes: no QR code has room for it", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		picture, err := draw(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Length", strconv.Itoa(len(picture)))
		_, _ = w.Write(picture)
	})
	return mux
}

// draw returns the QR code of a text, as a PNG.
func draw(text []byte) ([]byte, error) {
	code, err := goqr.EncodeBinary(text, goqr.Low)
	if err != nil {
		return nil, err
	}
	var picture bytes.Buffer
	err = code.WriteAsPNG(goqr.NewQrCodeImgConfig(scale, 4, goqr.WithLight(color.White), goqr.WithDark(color.Black)), &picture)
	return picture.Bytes(), err
}
