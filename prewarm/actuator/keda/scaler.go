package keda

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// metric is the name of the metric that is the number of replicas wanted. Its target is 1, so that the autoscaler sets as many.
const (
	metric = "prewarm-replicas"
	target = 1
)

// service is what KEDA calls.
func (a *Actuator) service() *grpc.ServiceDesc {
	unary := func(name string, request protoreflect.MessageDescriptor, answer func(m protoreflect.Message) (proto.Message, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := dynamicpb.NewMessage(request)
			if err := decode(m); err != nil {
				return nil, err
			}
			return answer(m)
		}}
	}
	stream := func(name string, serve func(m protoreflect.Message, s grpc.ServerStream) error) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			m := dynamicpb.NewMessage(refMessage)
			if err := s.RecvMsg(m); err != nil {
				return err
			}
			return serve(m, s)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: "externalscaler.ExternalScaler", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unary("IsActive", refMessage, a.isActive), unary("GetMetricSpec", refMessage, a.getMetricSpec), unary("GetMetrics", metricsRequestMessage, a.getMetrics),
		},
		Streams: []grpc.StreamDesc{stream("StreamIsActive", a.streamIsActive), stream("StreamMetricSpec", a.streamMetricSpec)},
	}
}

// functionOf returns the function that a ScaledObject is of: that in its metadata, or its name. It is remembered while somebody follows it, so it has a bound.
func functionOf(ref protoreflect.Message) (string, error) {
	name := get(ref, "name").String()
	if function := get(ref, "scalerMetadata").Map().Get(protoreflect.ValueOfString("function").MapKey()); function.IsValid() && function.String() != "" {
		name = function.String()
	}
	switch {
	case name == "":
		return "", status.Error(codes.InvalidArgument, "the trigger has no metadata function, and the ScaledObject has no name")
	case len(name) > source.MaxText:
		return "", status.Errorf(codes.InvalidArgument, "the name of the function has more than %d bytes", source.MaxText)
	}
	return name, nil
}

// isActive reports whether any replica is wanted.
func (a *Actuator) isActive(ref protoreflect.Message) (proto.Message, error) {
	name, err := functionOf(ref)
	if err != nil {
		return nil, err
	}
	return activeAnswer(a.wanted(name) > 0), nil
}

// streamIsActive tells at once whether any replica is wanted, and again whenever the number of them changes.
func (a *Actuator) streamIsActive(ref protoreflect.Message, stream grpc.ServerStream) error {
	name, err := functionOf(ref)
	if err != nil {
		return err
	}
	err = a.follow(stream.Context(), name, func(wanted int) error { return stream.SendMsg(activeAnswer(wanted > 0)) })
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Unavailable, err.Error())
}

// getMetricSpec returns the metric and its target.
func (a *Actuator) getMetricSpec(ref protoreflect.Message) (proto.Message, error) {
	if _, err := functionOf(ref); err != nil {
		return nil, err
	}
	return specsAnswer(metric, target), nil
}

// streamMetricSpec tells the metric and its target at once. They never change.
func (a *Actuator) streamMetricSpec(ref protoreflect.Message, stream grpc.ServerStream) error {
	if _, err := functionOf(ref); err != nil {
		return err
	}
	if err := stream.SendMsg(specsAnswer(metric, target)); err != nil {
		return err
	}
	select {
	case <-stream.Context().Done():
		return stream.Context().Err()
	case <-a.closing:
		return status.Error(codes.Unavailable, "the scaler is ending")
	}
}

// getMetrics returns how many replicas are wanted.
func (a *Actuator) getMetrics(r protoreflect.Message) (proto.Message, error) {
	name, err := functionOf(get(r, "scaledObjectRef").Message())
	if err != nil {
		return nil, err
	}
	if asked := get(r, "metricName").String(); asked != "" && asked != metric {
		return nil, status.Errorf(codes.InvalidArgument, "there is no metric %q, only %s", asked, metric)
	}
	return metricsAnswer(metric, float64(a.wanted(name))), nil
}
