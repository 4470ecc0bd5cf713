package api

import (
	"net/http"
	"time"
)

// Answered says of a request how it was answered, for whoever measures.
type Answered struct {
	// Operation is what was asked for, as the OpenAPI document calls it; empty where
	// that is nothing there is.
	Operation string
	// Status is that of the answer, whether somebody was there to read it or not.
	Status int
	// Took is the time from the head of the request to the end of the answer.
	Took time.Duration
}

// statusWriter notes the status that is written through it.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// tell tells of a request that began at a time.
func (a *API) tell(op *operation, w *statusWriter, began time.Time) {
	told := Answered{Status: w.status, Took: time.Since(began)}
	if op != nil {
		told.Operation = op.id
	}
	a.answered(told)
}
