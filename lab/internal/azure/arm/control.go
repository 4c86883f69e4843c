package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// These functions are not in Azure's provider. With them the lab does what a person does with the
// az command, and reads what only the process that serves the simulated Azure knows.
const (
	underWayToken    = "lab:azure:operationsUnderWay"
	purgeToken       = "lab:azure:purgeDeleted"
	undeleteToken    = "lab:azure:recoverDeleted"
	forgetToken      = "lab:azure:forget"
	inventoryToken   = "lab:azure:inventory"
	unfulfilledToken = "lab:azure:unfulfilled"
	lookupToken      = "lab:azure:lookup"
	creationToken    = "lab:azure:creation"
	holdsToken       = "lab:azure:holds"
)

// none are the arguments, or the answer, of a function without.
type none struct{}

// wanted are the arguments of Lookup, and found is its answer.
type (
	wanted struct {
		Type   string
		Inputs map[string]any
	}
	found struct {
		ID                  string
		SoftDeleted, Exists bool
	}
)

// guess are the arguments of Holds.
type guess struct{ ID, Path, Value string }

// controls is the table of the functions of Control, by token.
func controls() map[string]Function {
	return map[string]Function{
		underWayToken:    controlled(func(c *Cloud, _ none) (int, error) { return c.underWay(), nil }),
		purgeToken:       controlled(func(c *Cloud, _ none) (none, error) { return none{}, c.purgeAll() }),
		undeleteToken:    controlled(func(c *Cloud, id string) (none, error) { return none{}, c.Undelete(id) }),
		forgetToken:      controlled(func(c *Cloud, id string) (none, error) { return none{}, c.Forget(id) }),
		inventoryToken:   controlled(func(c *Cloud, _ none) ([]Resource, error) { return c.Inventory(), nil }),
		unfulfilledToken: controlled(func(c *Cloud, _ none) ([]string, error) { return c.Unfulfilled(), nil }),
		creationToken:    controlled(func(c *Cloud, id string) (string, error) { return c.Creation(id), nil }),
		holdsToken:       controlled(func(c *Cloud, g guess) (bool, error) { return c.Holds(g.ID, g.Path, g.Value) }),
		lookupToken: controlled(func(c *Cloud, w wanted) (f found, err error) {
			f.ID, f.SoftDeleted, f.Exists = c.Lookup(w.Type, w.Inputs)
			return f, nil
		}),
	}
}

// asJSON is the one property of arguments and answers. Inputs of a program are in it as they are:
// as properties, those that a preview does not know and secrets without a value would be refused.
const asJSON = "json"

func controlled[Arguments, Answer any](do func(c *Cloud, arguments Arguments) (Answer, error)) Function {
	return Function{Call: func(_ context.Context, c *Cloud, in Document) (resource.PropertyMap, error) {
		var arguments Arguments
		if err := json.Unmarshal([]byte(in.Text(asJSON)), &arguments); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "arguments of the lab's function: %v", err)
		}
		answer, err := do(c, arguments)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(answer)
		return resource.PropertyMap{asJSON: resource.NewProperty(string(text))}, err
	}}
}

func (c *Cloud) underWay() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.running)
}

func (c *Cloud) purgeAll() error {
	var errs []error
	for _, r := range c.SoftDeleted() {
		// The soft-deleted content of a vault is purged together with the vault.
		if !r.Seeded && c.isSoftDeleted(r.ID) {
			errs = append(errs, c.Purge(r.ID))
		}
	}
	return errors.Join(errs...)
}

// Unfulfilled returns one message for each deployment that Azure accepts in silence although it
// cannot work, as the services judge it.
func (c *Cloud) Unfulfilled() []string { return c.services.Unfulfilled(c) }

func (c *Cloud) isSoftDeleted(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.deleted[Key(id)]
	return ok
}

// Undelete brings a soft-deleted resource back unchanged, with everything that was soft-deleted
// inside it, as "az keyvault recover" does. The error says that there is no such soft-deleted
// resource.
func (c *Cloud) Undelete(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.deleted[Key(id)]; !ok {
		return fmt.Errorf("%s is not soft-deleted, so it cannot be recovered", id)
	}
	undo := c.change(func() {
		for k, r := range c.deleted {
			if k == Key(id) || Within(r.ID, id) {
				c.live[k] = r
				delete(c.deleted, k)
			}
		}
	})
	if err := c.save(); err != nil {
		undo()
		return err
	}
	return nil
}

// Control lets the lab read and control a simulated Azure that another process serves. That process
// holds the inventory and writes the state file; so this is the way to both, and the file is only
// for the next process that serves it. Call Connect to get one, and Close at the end.
type Control struct {
	port       int
	connection *grpc.ClientConn
	client     pulumirpc.ResourceProviderClient
}

// Connect returns the control of the simulated Azure on a port of this machine. If nothing serves
// the port, the first call fails.
func Connect(port int) (*Control, error) {
	connection, err := grpc.NewClient(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("reach the simulated Azure on port %d: %w", port, err)
	}
	return &Control{port, connection, pulumirpc.NewResourceProviderClient(connection)}, nil
}

// Close ends the connection.
func (c *Control) Close() error { return c.connection.Close() }

// ask calls a function of controls.
func ask[Answer any](ctx context.Context, c *Control, token string, arguments any) (answer Answer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ask the simulated Azure on port %d for %s: %w", c.port, token, err)
		}
	}()
	text, err := json.Marshal(arguments)
	if err != nil {
		return answer, err
	}
	in, err := structpb.NewStruct(map[string]any{asJSON: string(text)})
	if err != nil {
		return answer, err
	}
	response, err := c.client.Invoke(ctx, &pulumirpc.InvokeRequest{Tok: token, Args: in})
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal([]byte(response.GetReturn().GetFields()[asJSON].GetStringValue()), &answer)
}

// errBusy is the reason why AwaitIdle goes on waiting.
var errBusy = errors.New("operations are under way in the simulated Azure")

// AwaitIdle waits until no operation is under way any more, as long as ctx allows: Azure goes on
// even if the engine was killed.
func (c *Control) AwaitIdle(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		running, err := ask[int](ctx, c, underWayToken, none{})
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if running > 0 {
			return struct{}{}, errBusy
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	return err
}

// Purge purges everything that is soft-deleted, as "az keyvault purge" does. The error names the
// resources with purge protection.
func (c *Control) Purge(ctx context.Context) error {
	_, err := ask[none](ctx, c, purgeToken, none{})
	return err
}

// Undelete is Cloud.Undelete.
func (c *Control) Undelete(ctx context.Context, id string) error {
	_, err := ask[none](ctx, c, undeleteToken, id)
	return err
}

// Forget is Cloud.Forget.
func (c *Control) Forget(ctx context.Context, id string) error {
	_, err := ask[none](ctx, c, forgetToken, id)
	return err
}

// Inventory is Cloud.Inventory.
func (c *Control) Inventory(ctx context.Context) ([]Resource, error) {
	return ask[[]Resource](ctx, c, inventoryToken, none{})
}

// Unfulfilled is Cloud.Unfulfilled.
func (c *Control) Unfulfilled(ctx context.Context) ([]string, error) {
	return ask[[]string](ctx, c, unfulfilledToken, none{})
}

// Lookup is Cloud.Lookup.
func (c *Control) Lookup(ctx context.Context, typ string, inputs map[string]any) (id string, softDeleted, exists bool, err error) {
	f, err := ask[found](ctx, c, lookupToken, wanted{typ, inputs})
	return f.ID, f.SoftDeleted, f.Exists, err
}

// Creation is Cloud.Creation.
func (c *Control) Creation(ctx context.Context, id string) (string, error) {
	return ask[string](ctx, c, creationToken, id)
}

// Holds is Cloud.Holds.
func (c *Control) Holds(ctx context.Context, id, path, value string) (bool, error) {
	return ask[bool](ctx, c, holdsToken, guess{id, path, value})
}
