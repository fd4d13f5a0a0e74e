package whisk

import (
	"errors"
	"net/http"
)

// mostRedirects is how many redirections are followed, as many as by net/http.
const mostRedirects = 10

// KeepMethod is a policy for [http.Client.CheckRedirect] that follows a redirection only with the method of the first request. By itself a
// client follows 301, 302 and 303 with a GET without the body, and takes the answer to that for the answer to the POST, PUT or DELETE that was
// never carried out: where a gateway sends its clients to https or to a login page, spans would be lost and packages stay, and nobody would
// know. With this policy the answer is the redirection itself.
func KeepMethod(next *http.Request, before []*http.Request) error {
	if next.Method != before[0].Method {
		return http.ErrUseLastResponse
	}
	if len(before) >= mostRedirects {
		return errors.New("stopped after 10 redirections")
	}
	return nil
}

// RedirectedTo returns the address that an answer sends its client to, without user, password and query; "" if it does not.
func RedirectedTo(response *http.Response) string {
	if response.StatusCode < 300 || response.StatusCode > 399 {
		return ""
	}
	u, err := response.Location()
	if err != nil {
		return ""
	}
	u.RawQuery, u.Fragment = "", ""
	return DisplayAddress(u)
}
