package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// webJSON answers with the result of a web action as JSON.
func (c *call) webJSON(result json.RawMessage) {
	if len(result) == 0 || result[0] != '{' && result[0] != '[' {
		c.fail(noMedia("application/json"))
		return
	}
	c.answerJSON(http.StatusOK, false, []byte(sprayjson.Pretty(result)))
}

// webText answers with the member body or text of the result.
func (c *call) webText(result json.RawMessage) {
	value := memberOf(result, "text")
	if value == nil {
		c.fail(webError(http.StatusNotFound, "Response does not include requested property."))
		return
	}
	text := sprayjson.Pretty(value)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &text) // it is JSON
	}
	c.answerAcceptedText(text)
}

// webMember answers with a text, the member body or another of the result.
func (c *call) webMember(result json.RawMessage, member, mediaType, contentType string) {
	var text *string
	if value := memberOf(result, member); value == nil || json.Unmarshal(value, &text) != nil || text == nil {
		c.fail(noMedia(mediaType))
		return
	}
	c.answerBytes(http.StatusOK, contentType, []byte(*text))
}

// memberOf returns the member body of a result, or otherwise another; nil if there is neither. A result that is no object is returned itself.
func memberOf(result json.RawMessage, member string) json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(result, &m) != nil || m == nil {
		return result
	}
	if m["body"] != nil {
		return m["body"]
	}
	return m[member]
}

// webHTTP answers with a result that describes the answer: {"statusCode", "headers", "body"}.
func (c *call) webHTTP(result json.RawMessage) {
	var m map[string]json.RawMessage
	if json.Unmarshal(result, &m) != nil || m == nil {
		c.fail(noMedia("message/http"))
		return
	}
	status, okStatus := webStatus(m["statusCode"])
	headers, contentType, okHeaders := webResultHeaders(m["headers"])
	if !okStatus || !okHeaders {
		c.fail(noMedia("message/http"))
		return
	}
	body, mediaType, err := webContent(m["body"], contentType)
	if err != nil {
		c.fail(err)
		return
	}
	h := c.w.Header()
	for name, values := range headers {
		h[name] = append(h[name], values...)
	}
	switch {
	case body == nil && status == 0:
		c.w.WriteHeader(http.StatusNoContent)
	case body == nil:
		c.w.WriteHeader(status)
	case status == 0:
		c.answerBytes(http.StatusOK, mediaType, body)
	default:
		c.answerBytes(status, mediaType, body)
	}
}

// webStatus returns the status in a result, 0 if there is none. It returns false for one that is not known.
func webStatus(raw json.RawMessage) (int, bool) {
	if raw == nil {
		return 0, true
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && raw[0] == '"' {
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 200 && http.StatusText(n) != ""
	}
	var number json.Number
	if raw[0] == '"' || json.Unmarshal(raw, &number) != nil {
		return 0, false
	}
	n, whole := sprayjson.Int32(number.String())
	return int(n), whole && n >= 200 && http.StatusText(int(n)) != ""
}

// webResultHeaders returns the headers in a result, and separately the content type. It returns false if there is one that is no text, number, boolean
// or list of these.
func webResultHeaders(raw json.RawMessage) (headers http.Header, contentType string, ok bool) {
	headers = http.Header{}
	if raw == nil {
		return headers, "", true
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, "", false
	}
	var add func(name string, value json.RawMessage) bool
	add = func(name string, value json.RawMessage) bool {
		var list []json.RawMessage
		if json.Unmarshal(value, &list) == nil && list != nil {
			return !slices.ContainsFunc(list, func(v json.RawMessage) bool { return !add(name, v) })
		}
		if value[0] == '{' || value[0] == 'n' {
			return false
		}
		text := string(value)
		if value[0] == '"' {
			_ = json.Unmarshal(value, &text) // it is JSON
		}
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\t' { // it would end the header, or the connection
				return -1
			}
			return r
		}, text)
		headers[name] = append(headers[name], text)
		return true
	}
	for name, value := range m {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !add(name, value) {
			return nil, "", false
		}
	}
	contentType = headers.Get("Content-Type")
	for _, own := range []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Date"} {
		headers.Del(own)
	}
	return headers, contentType, true
}

// webContent returns the body of an answer and its type, for the member body of a result and the content type among its headers. The body is nil if
// there is none.
func webContent(raw json.RawMessage, contentType string) (body []byte, mediaType string, err *apiError) {
	var text string
	isString := raw != nil && raw[0] == '"'
	if isString {
		_ = json.Unmarshal(raw, &text) // it is JSON
	}
	if raw == nil || string(raw) == "null" || isString && text == "" {
		return nil, "", nil
	}
	wrong := webError(http.StatusBadRequest, "Response type in header did not match generated content type.")
	if contentType == "" {
		contentType = "text/html"
		if !isString {
			contentType = "application/json"
		}
	}
	media, parameters, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if main, sub, ok := strings.Cut(media, "/"); !ok || main == "" || sub == "" || strings.ContainsAny(media, " ,*") {
		if !isString {
			return nil, "", wrong
		}
		return nil, "", webError(http.StatusBadRequest, "Response did not specify a known content-type.")
	}
	switch {
	case isJSON(media) && isString:
		// A text in base64 is what it encodes, for the sake of older actions.
		if code, err := base64.StdEncoding.DecodeString(text); err == nil && len(code) > 0 {
			return code, media, nil
		}
		return []byte(text), media, nil
	case isJSON(media):
		return []byte(sprayjson.Pretty(raw)), media, nil
	case !isString:
		return nil, "", wrong
	case isText(contentType):
		if parameters == "" {
			contentType = media + "; charset=UTF-8"
		}
		return []byte(text), contentType, nil
	}
	code, e := base64.StdEncoding.DecodeString(text)
	if e != nil {
		return nil, "", wrong
	}
	return code, contentType, nil
}

// answerBytes answers with a body of any type.
func (c *call) answerBytes(status int, contentType string, body []byte) {
	h := c.w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{fmt.Sprint(len(body))}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(body)
	}
}
