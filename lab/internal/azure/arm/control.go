package arm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"
)

// These functions are not in Azure's provider. With them the lab does what a person does with the
// az command.
const (
	underWayToken = "lab:azure:operationsUnderWay"
	purgeToken    = "lab:azure:purgeDeleted"
	undeleteToken = "lab:azure:recoverDeleted"
)

func operationsUnderWay(_ context.Context, c *Cloud, _ Document) (resource.PropertyMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return resource.PropertyMap{"count": resource.NewProperty(float64(len(c.running)))}, nil
}

func purgeDeleted(_ context.Context, c *Cloud, _ Document) (resource.PropertyMap, error) {
	var errs []error
	for _, r := range c.SoftDeleted() {
		// The soft-deleted content of a vault is purged together with the vault.
		if !r.Seeded && c.isSoftDeleted(r.ID) {
			errs = append(errs, c.Purge(r.ID))
		}
	}
	return resource.PropertyMap{}, errors.Join(errs...)
}

func recoverDeleted(_ context.Context, c *Cloud, arguments Document) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, c.Undelete(arguments.Text("id"))
}

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

// Control lets the lab control a simulated Azure that another process serves. Call Connect to get
// one, and Close at the end.
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

func (c *Control) invoke(ctx context.Context, token string, arguments *structpb.Struct) (*structpb.Struct, error) {
	answer, err := c.client.Invoke(ctx, &pulumirpc.InvokeRequest{Tok: token, Args: arguments})
	if err != nil {
		return nil, fmt.Errorf("ask the simulated Azure on port %d for %s: %w", c.port, token, err)
	}
	return answer.GetReturn(), nil
}

// errBusy is the reason why AwaitIdle goes on waiting.
var errBusy = errors.New("operations are under way in the simulated Azure")

// AwaitIdle waits until no operation is under way any more, as long as ctx allows: Azure goes on
// even if the engine was killed.
func (c *Control) AwaitIdle(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		answer, err := c.invoke(ctx, underWayToken, nil)
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if answer.GetFields()["count"].GetNumberValue() > 0 {
			return struct{}{}, errBusy
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	return err
}

// Purge purges everything that is soft-deleted, as "az keyvault purge" does. The error names the
// resources with purge protection.
func (c *Control) Purge(ctx context.Context) error {
	_, err := c.invoke(ctx, purgeToken, nil)
	return err
}

// Undelete is Cloud.Undelete.
func (c *Control) Undelete(ctx context.Context, id string) error {
	arguments, err := structpb.NewStruct(map[string]any{"id": id})
	if err != nil {
		return err
	}
	_, err = c.invoke(ctx, undeleteToken, arguments)
	return err
}
