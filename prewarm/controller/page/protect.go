package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Protect keeps from next what the page of somebody else could make a browser send: requests to a name that is neither loopback nor one of hosts
// (DNS rebinding), and requests that change something and come from another origin (cross-site request forgery). The names of hosts are those by
// which the server is reached, with or without a port; "*" admits all names, for where something in front of it checks them. Programs that are no
// browsers send neither Origin nor Sec-Fetch-Site, and pass. So do requests to an address instead of a name, as probes and Prometheus send them: no
// DNS server can make a browser send these for a page of somebody else.
func Protect(next http.Handler, hosts []string) http.Handler {
	admitted := map[string]bool{}
	for _, h := range hosts {
		admitted[strings.ToLower(h)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !admitted["*"] && !addressed(r.Host) && !admitted[strings.ToLower(r.Host)] && !admitted[hostname(r.Host)] {
			http.Error(w, "this server is not known by the name "+quote(r.Host)+": add it to the names that it may be reached by", http.StatusMisdirectedRequest)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions && !sameOrigin(r) {
			http.Error(w, "requests from pages of other origins are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin reports whether a request comes from this server's own page, or from no page.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// hostname returns the name in a Host header, in lower case and without brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// addressed reports whether a Host header has an address, or the name of this machine for itself.
func addressed(host string) bool {
	name := hostname(host)
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost"
}

// quote returns a name from a request as it may stand in an answer.
func quote(name string) string {
	const most = 80
	if len(name) > most {
		name = name[:most] + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name) + `"`
}
