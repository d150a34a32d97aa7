package proto

// Media types of a request or answer, and of a refusal (an encoded Error). A
// client takes an answer for the server's only if it bears one of them, so that
// a proxy's page is never mistaken for a refusal; and a foreign web page cannot
// send the first without asking (CORS), which is never allowed.
const (
	MediaType      = "application/vnd.huis"
	MediaTypeError = "application/vnd.huis.error"
)
