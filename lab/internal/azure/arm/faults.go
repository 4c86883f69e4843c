package arm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// ServiceError is an answer with which Azure fails a request; Options.Faults returns it. Errors
// that may pass are retried, as azure-native does (see retriable), and Faults is asked again for
// each attempt.
type ServiceError struct {
	// Status is the HTTP status, or 0 without any answer: a connection that was refused or reset.
	Status int
	// Code and Message are those of the answer's body, such as TooManyRequests.
	Code, Message string
	// RetryAfter is the answer's Retry-After header, if it has one. The provider waits for it
	// instead of its own delay.
	RetryAfter time.Duration
	// Lost says that Azure carries out the request, but that neither its answer nor that of any
	// retry arrives: the resource exists, and the engine has an error.
	Lost bool
}

// Error renders the answer as Azure's command line renders an error.
func (e *ServiceError) Error() string {
	if e.Status == 0 {
		return "no answer from Azure: " + e.Message
	}
	return fmt.Sprintf("Status=%d Code=%q Message=%q", e.Status, e.Code, e.Message)
}

// These constants are those of azure-native's retries: newClientOptions in its client_azcore.go,
// with azcore's policy.
const (
	retries       = 3
	retryDelay    = 20 * time.Second
	maxRetryDelay = 2 * time.Minute
)

// retriable reports whether azure-native sends the request again: after one of these statuses,
// without an answer, and after one kind of conflict.
func (e *ServiceError) retriable() bool {
	if e.Lost {
		return false
	}
	if e.Status == http.StatusConflict {
		return e.Code == "AnotherOperationInProgress"
	}
	return slices.Contains([]int{
		0, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, e.Status)
}

// pause is how long azure-native waits after an attempt, counted from 1. A Retry-After above its
// longest delay ends the retries; ok is false then. Azcore varies its own delays at random, from a
// fifth less to a third more.
func (e *ServiceError) pause(attempt int) (delay time.Duration, ok bool) {
	if e.RetryAfter > 0 {
		return e.RetryAfter, e.RetryAfter <= maxRetryDelay
	}
	return min(retryDelay*time.Duration(1<<attempt-1), maxRetryDelay), true
}

// fault asks for injected faults until an attempt has none. lost is the error to return after the
// change.
func (c *Cloud) fault(ctx context.Context, op Operation, typ, id string) (lost, err error) {
	if c.options.Faults == nil {
		return nil, nil
	}
	for attempt := 1; ; attempt++ {
		err := c.options.Faults(op, typ, id)
		if err == nil {
			return nil, nil
		}
		failed := fmt.Errorf("%s of %s %q failed: %w", op, typ, id, err)
		var answer *ServiceError
		if !errors.As(err, &answer) {
			return nil, failed
		}
		if answer.Lost {
			return failed, nil
		}
		delay, again := answer.pause(attempt)
		if !again || !answer.retriable() || attempt > retries {
			return nil, failed
		}
		select {
		case <-time.After(c.scaled(delay)):
		case <-ctx.Done():
			return nil, errors.Join(failed, ctx.Err())
		}
	}
}
