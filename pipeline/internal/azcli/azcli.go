// Package azcli asks Azure questions through the Azure CLI. So the questions have the sign-in, the
// tenant, the cloud and the proxy of the person or pipeline that asks, and no library of Azure is
// needed. It sends GET requests only.
package azcli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
)

// CLI runs the Azure CLI. Every field is required.
type CLI struct {
	// Program is its name on PATH, or its path.
	Program string
	// Patience is how long one answer may take.
	Patience time.Duration
	// Attempts is how often a question is asked that Azure throttles or is too busy to answer, and
	// Pause is the first wait between two attempts; each wait is about one and a half times as long
	// as the one before.
	Attempts uint
	Pause    time.Duration
}

// Default is the Azure CLI that is on PATH.
func Default() CLI {
	return CLI{Program: "az", Patience: time.Minute, Attempts: 4, Pause: 5 * time.Second}
}

// Account is who is signed in, and to which subscription.
type Account struct {
	// SubscriptionID is the GUID of the subscription.
	SubscriptionID string
	// UserName is a user's name, or a service principal's application id; UserType is user or
	// servicePrincipal.
	UserName, UserType string
}

// Refusal is an answer of Azure that is an error.
type Refusal struct {
	// Reason is the reason phrase of the HTTP status, such as Forbidden.
	Reason string
	// Code and Message are Azure's own, if it gave any.
	Code, Message string
}

// Error implements error.
func (r *Refusal) Error() string {
	switch {
	case r.Code == "" && r.Message == "":
		return "Azure answers " + r.Reason
	default:
		return fmt.Sprintf("Azure answers %s (%s: %s)", r.Reason, r.Code, r.Message)
	}
}

// Forbidden reports whether the account that is signed in lacks the right to ask.
func (r *Refusal) Forbidden() bool {
	return strings.EqualFold(r.Reason, "Forbidden") || strings.EqualFold(r.Code, "AuthorizationFailed")
}

// passes reports whether Azure may answer the same question later. The reason phrases are those of
// RFC 9110; Azure's servers write some of them in their own way.
func (r *Refusal) passes() bool {
	if r.Forbidden() {
		return false
	}
	switch strings.ToLower(strings.ReplaceAll(r.Reason, "-", "")) { // Gateway Time-out
	case "too many requests", "request timeout", "internal server error", "bad gateway", "service unavailable", "gateway timeout":
		return true
	}
	return strings.EqualFold(r.Code, "TooManyRequests")
}

// ErrSignedOut says that the Azure CLI is not signed in, or that its sign-in has expired.
var ErrSignedOut = errors.New("the Azure CLI is not signed in; run az login")

// ErrMissing says that there is no Azure CLI.
var ErrMissing = errors.New("the Azure CLI (az) is not on PATH")

// Account returns who is signed in. It does not ask Azure: the Azure CLI remembers it.
func (c CLI) Account(ctx context.Context) (Account, error) {
	text, err := c.run(ctx, "account", "show")
	if err != nil {
		return Account{}, err
	}
	var answer struct {
		ID   string `json:"id"`
		User struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"user"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return Account{}, fmt.Errorf("az account show: the answer cannot be read: %w", err)
	}
	if uuid.Validate(answer.ID) != nil {
		return Account{}, errors.New("az account show: the answer names no subscription; run az account set --subscription <subscription>")
	}
	return Account{SubscriptionID: answer.ID, UserName: answer.User.Name, UserType: answer.User.Type}, nil
}

// ObjectID returns the GUID of who is signed in, by which role assignments know them.
func (c CLI) ObjectID(ctx context.Context, account Account) (string, error) {
	var args []string
	switch {
	case account.UserType == "user":
		args = []string{"ad", "signed-in-user", "show"}
	case account.UserType == "servicePrincipal" && uuid.Validate(account.UserName) == nil:
		args = []string{"ad", "sp", "show", "--id", account.UserName}
	default: // a managed identity is called systemAssignedIdentity or userAssignedIdentity
		return "", errors.New("the Azure CLI does not tell the object id of who is signed in")
	}
	text, err := c.run(ctx, args...)
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("az %s: the answer cannot be read: %w", strings.Join(args[:3], " "), err)
	}
	if uuid.Validate(answer.ID) != nil {
		return "", fmt.Errorf("az %s: the answer has no object id", strings.Join(args[:3], " "))
	}
	return answer.ID, nil
}

// Get returns Azure Resource Manager's answer to a GET request for path, which begins with a slash
// and has an api-version. The Azure CLI completes it with the address of the cloud that is signed
// in to, so that no token goes anywhere else. The error is a *Refusal if Azure answers with one,
// and ErrSignedOut if the Azure CLI is not signed in.
func (c CLI) Get(ctx context.Context, path string) ([]byte, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is no path of Azure Resource Manager", path)
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval = c.Pause
	return backoff.Retry(ctx, func() ([]byte, error) {
		text, err := c.run(ctx, "rest", "--method", "get", "--url", path)
		var refusal *Refusal
		if err != nil && (!errors.As(err, &refusal) || !refusal.passes()) {
			return nil, backoff.Permanent(err)
		}
		return text, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(c.Attempts), backoff.WithMaxElapsedTime(0))
}

// drain is how long to wait for the output of a stopped Azure CLI: it is a script, and its
// interpreter may live on.
const drain = time.Second

func (c CLI) run(ctx context.Context, args ...string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(limited, c.Program, append(args, "--output", "json", "--only-show-errors")...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, drain
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("az %s does not answer within %s", args[0], c.Patience)
	case errors.Is(err, exec.ErrNotFound):
		return nil, ErrMissing
	default:
		return nil, explain(said.String(), err)
	}
}

// refusal is how az rest prints an answer that is an error: the reason phrase, and in parentheses
// the body if there is one. Source: azure-cli, src/azure-cli-core/azure/cli/core/util.py,
// send_raw_request.
var refusal = regexp.MustCompile(`(?s)^([A-Z][A-Za-z -]{2,40})\((.*)\)$`)

// explain returns what the Azure CLI said when it failed.
func explain(said string, failed error) error {
	said = strings.TrimSpace(said)
	// Warnings may stand before it, in spite of --only-show-errors: extensions print what they
	// like.
	if _, after, found := strings.Cut("\n"+said, "\nERROR: "); found {
		said = after
	}
	for _, hint := range []string{"az login", "AADSTS", "re-authenticate"} {
		if strings.Contains(said, hint) {
			return fmt.Errorf("%w: %s", ErrSignedOut, said)
		}
	}
	if bare := (Refusal{Reason: said}); bare.passes() || bare.Forbidden() {
		return &bare
	}
	parts := refusal.FindStringSubmatch(said)
	if parts == nil {
		if said == "" {
			return fmt.Errorf("az fails and says nothing: %w", failed)
		}
		return fmt.Errorf("az fails: %s", said)
	}
	answer := Refusal{Reason: parts[1]}
	var body struct {
		Error         *struct{ Code, Message string }
		Code, Message string
	}
	if err := json.Unmarshal([]byte(parts[2]), &body); err != nil {
		answer.Message = parts[2]
		return &answer
	}
	answer.Code, answer.Message = body.Code, body.Message
	if body.Error != nil {
		answer.Code, answer.Message = body.Error.Code, body.Error.Message
	}
	return &answer
}
