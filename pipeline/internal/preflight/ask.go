package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/pipeline/internal/azcli"
)

// Azure answers questions. An azcli.CLI is the one that asks a real subscription.
type Azure interface {
	// Account returns who is signed in.
	Account(ctx context.Context) (azcli.Account, error)
	// ObjectID returns the GUID of who is signed in.
	ObjectID(ctx context.Context, account azcli.Account) (string, error)
	// Get returns the answer of Azure Resource Manager to a GET request.
	Get(ctx context.Context, path string) ([]byte, error)
}

// Preflight is one run of all checks.
type Preflight struct {
	Azure Azure
	Needs Needs
	// Deployer is the object id of the identity that will deploy, or "" for who is signed in.
	Deployer string
	// Progress gets the number of answered questions, and of all; it may be nil. Its calls do not
	// overlap.
	Progress func(answered, all int)
}

// atOnce is how many questions are asked at the same time: each is a process of its own.
const atOnce = 4

// asker asks one subscription.
type asker struct {
	azure        Azure
	subscription string
	account      azcli.Account
	deployer     string
	needs        Needs
}

// Run asks everything. It fails only with the error of ctx: everything else is part of the report.
func (p Preflight) Run(ctx context.Context) (Report, error) {
	report := Report{Environment: p.Needs.Environment, Location: p.Needs.Location}
	account, err := p.Azure.Account(ctx)
	if ctx.Err() != nil {
		return report, ctx.Err()
	}
	if err != nil {
		report.Checks = []Check{unanswered("sign-in", "Azure CLI", err)}
		return report, nil
	}
	q := asker{azure: p.Azure, subscription: account.SubscriptionID, account: account, deployer: p.Deployer, needs: p.Needs}
	if p.Needs.SubscriptionID != "" {
		q.subscription = p.Needs.SubscriptionID
	}
	report.Subscription = q.subscription
	questions := []func(context.Context) []Check{
		q.subscriptions, q.providers, q.compute, q.kubernetes, q.mesh, q.database, q.vault, q.defender, q.roles,
	}
	answers := make([][]Check, len(questions))
	var mu sync.Mutex
	answered := 0
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, ask := range questions {
		group.Go(func() error {
			answers[i] = ask(groupContext)
			if p.Progress != nil {
				mu.Lock()
				defer mu.Unlock()
				answered++
				p.Progress(answered, len(questions))
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return report, err
	}
	report.Checks = append(slices.Concat(answers...), p.Needs.recipients()...)
	return report, nil
}

// path returns a path in the subscription that is asked; the query's values are escaped.
func (q asker) path(resource, version string, query ...string) string {
	path := "/subscriptions/" + q.subscription + resource + "?api-version=" + version
	for i := 0; i+1 < len(query); i += 2 {
		path += "&" + query[i] + "=" + url.PathEscape(query[i+1])
	}
	return path
}

// errShape says that an answer is not what Azure's documents promise.
var errShape = errors.New("the answer has an unknown shape")

// mostPages is how many pages a list may have: the longest known one, of VM sizes, has fewer than
// ten.
const mostPages = 200

// list returns the items of an answer that is a list under key, of all its pages.
func (q asker) list(ctx context.Context, path, key string) ([]json.RawMessage, error) {
	var items []json.RawMessage
	seen := map[string]bool{}
	for path != "" {
		if seen[path] || len(seen) >= mostPages {
			return nil, fmt.Errorf("%w: its pages have no end", errShape)
		}
		seen[path] = true
		text, err := q.azure.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		var page map[string]json.RawMessage
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, fmt.Errorf("%w: it is no JSON object: %w", errShape, err)
		}
		var some []json.RawMessage
		if err := json.Unmarshal(page[key], &some); err != nil || some == nil {
			return nil, fmt.Errorf("%w: it has no list %q", errShape, key)
		}
		items = append(items, some...)
		if path, err = nextPage(page["nextLink"]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// nextPage returns the path of a nextLink, or "". Its host is left out: the Azure CLI sends the
// request, and the token, to the same address as the first one.
func nextPage(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", nil
	}
	var link *string
	if err := json.Unmarshal(raw, &link); err != nil {
		return "", fmt.Errorf("%w: its nextLink is no text", errShape)
	}
	if link == nil || *link == "" {
		return "", nil
	}
	next, err := url.Parse(*link)
	if err != nil || !strings.HasPrefix(next.EscapedPath(), "/subscriptions/") || next.Scheme != "https" {
		return "", fmt.Errorf("%w: its nextLink is no address of a page", errShape)
	}
	return next.RequestURI(), nil
}

// object returns an answer that is an object.
func object[T any](ctx context.Context, q asker, path string) (T, error) {
	var answer T
	text, err := q.azure.Get(ctx, path)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("%w: %w", errShape, err)
	}
	return answer, nil
}

// decoded returns the items that can be read, and whether all can.
func decoded[T any](items []json.RawMessage) (list []T, whole bool) {
	whole = true
	for _, item := range items {
		var one *T
		if err := json.Unmarshal(item, &one); err != nil || one == nil {
			whole = false
			continue
		}
		list = append(list, *one)
	}
	return list, whole
}

// unanswered is the check of a question that has no answer.
func unanswered(concern, of string, err error) Check {
	check := Check{
		Concern: concern, Of: of, State: NotKnown, Found: shown(err.Error()),
		Remedy: "run it again; if this stays, look at it in the Azure portal before you deploy",
	}
	var refusal *azcli.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Forbidden():
		check.Remedy = "sign in with an account that has the role Reader at the subscription, and run it again"
	case errors.Is(err, azcli.ErrMissing):
		check.Remedy = "install the Azure CLI (https://learn.microsoft.com/cli/azure/install-azure-cli), and run az login"
	case errors.Is(err, azcli.ErrSignedOut):
		check.Remedy = "run az login, and az account set --subscription <subscription>"
	}
	return check
}

// unclear is the check of an answer that does not answer its question.
func unclear(concern, of, why string) Check {
	return unanswered(concern, of, fmt.Errorf("%w: %s", errShape, why))
}

func good(concern, of, found string) Check {
	return Check{Concern: concern, Of: of, State: Good, Found: shown(found)}
}

func problem(concern, of, found, remedy string) Check {
	return Check{Concern: concern, Of: of, State: Problem, Found: shown(found), Remedy: remedy}
}
