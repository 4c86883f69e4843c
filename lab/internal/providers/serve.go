package providers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// maxMessageBytes is the message size that the Pulumi engine itself allows (400 MiB); gRPC's
// default of 4 MiB is too small for large resources.
const maxMessageBytes = 400 << 20

// Server is a provider that listens on loopback until it is stopped.
type Server struct {
	// Port is the free TCP port on 127.0.0.1 that the server listens on.
	Port int

	grpc    *grpc.Server
	stop    sync.Once
	stopped chan struct{}
	failure error
}

// Serve serves srv on a free port of 127.0.0.1 and returns at once. The server ends when ctx is
// done or Stop is called. One server outlives any number of engine operations: see Base.Cancel. The
// error says that no port could be opened.
func Serve(ctx context.Context, srv pulumirpc.ResourceProviderServer) (*Server, error) {
	listener, err := loopback.Listen(ctx, "a provider server", 0)
	if err != nil {
		return nil, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(
			fmt.Errorf("provider server listens on %s, which is no TCP address", listener.Addr()), listener.Close())
	}
	server := &Server{
		Port:    address.Port,
		grpc:    grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxSendMsgSize(maxMessageBytes)),
		stopped: make(chan struct{}),
	}
	pulumirpc.RegisterResourceProviderServer(server.grpc, srv)
	go func() {
		defer close(server.stopped)
		if err := server.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			server.failure = fmt.Errorf("provider server on 127.0.0.1:%d stopped serving: %w", server.Port, err)
		}
	}()
	context.AfterFunc(ctx, server.end)
	return server, nil
}

// Stop ends the server and waits until it is gone. It cancels calls under way, because no engine
// waits for them any more. It may be called more than once. The error is the one, if any, that had
// ended the server earlier.
func (s *Server) Stop() error {
	s.end()
	<-s.stopped
	return s.failure
}

func (s *Server) end() { s.stop.Do(s.grpc.Stop) }
