package keda

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The messages of KEDA's external scaler, made from their description. KEDA's own package of them cannot be linked here: its module demands versions
// of others with which the collector does not build. And nothing is registered, so that a program can have both.
//
// What of KEDA v2.21.0 calls which number is checked by the tests with KEDA's client in testdata/client.
var (
	refMessage, activeMessage, specsMessage, specMessage            protoreflect.MessageDescriptor
	metricsRequestMessage, metricsResponseMessage, metricValMessage protoreflect.MessageDescriptor
)

func init() {
	file, err := protodesc.NewFile(description(), nil)
	if err != nil {
		panic(fmt.Sprintf("the description of KEDA's messages is wrong: %v", err)) // a constant
	}
	of := file.Messages().ByName
	refMessage, activeMessage, specsMessage, specMessage = of("ScaledObjectRef"), of("IsActiveResponse"), of("GetMetricSpecResponse"), of("MetricSpec")
	metricsRequestMessage, metricsResponseMessage, metricValMessage = of("GetMetricsRequest"), of("GetMetricsResponse"), of("MetricValue")
}

// description describes externalscaler.proto without its service.
func description() *descriptorpb.FileDescriptorProto {
	const (
		text    = descriptorpb.FieldDescriptorProto_TYPE_STRING
		boolean = descriptorpb.FieldDescriptorProto_TYPE_BOOL
		integer = descriptorpb.FieldDescriptorProto_TYPE_INT64
		number  = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
		message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	field := func(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type, of string, repeated bool) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(n), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if repeated {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if of != "" {
			f.TypeName = proto.String(".externalscaler." + of)
		}
		return f
	}
	type fields = []*descriptorpb.FieldDescriptorProto
	entry := &descriptorpb.DescriptorProto{
		Name: proto.String("ScalerMetadataEntry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
		Field: fields{field("key", 1, text, "", false), field("value", 2, text, "", false)},
	}
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("externalscaler.proto"), Package: proto.String("externalscaler"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("ScaledObjectRef"), NestedType: []*descriptorpb.DescriptorProto{entry}, Field: fields{
				field("name", 1, text, "", false), field("namespace", 2, text, "", false),
				field("scalerMetadata", 3, message, "ScaledObjectRef.ScalerMetadataEntry", true),
			}},
			{Name: proto.String("IsActiveResponse"), Field: fields{field("result", 1, boolean, "", false)}},
			{Name: proto.String("GetMetricSpecResponse"), Field: fields{field("metricSpecs", 1, message, "MetricSpec", true)}},
			{Name: proto.String("MetricSpec"), Field: fields{
				field("metricName", 1, text, "", false), field("targetSize", 2, integer, "", false), field("targetSizeFloat", 3, number, "", false),
			}},
			{Name: proto.String("GetMetricsRequest"), Field: fields{
				field("scaledObjectRef", 1, message, "ScaledObjectRef", false), field("metricName", 2, text, "", false),
			}},
			{Name: proto.String("GetMetricsResponse"), Field: fields{field("metricValues", 1, message, "MetricValue", true)}},
			{Name: proto.String("MetricValue"), Field: fields{
				field("metricName", 1, text, "", false), field("metricValue", 2, integer, "", false), field("metricValueFloat", 3, number, "", false),
			}},
		},
	}
}

// get returns the value of a field.
func get(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

// activeAnswer is the answer to IsActive.
func activeAnswer(active bool) proto.Message {
	m := dynamicpb.NewMessage(activeMessage)
	m.Set(activeMessage.Fields().ByName("result"), protoreflect.ValueOfBool(active))
	return m
}

// specsAnswer is the answer to GetMetricSpec: one metric with its target.
func specsAnswer(metric string, target float64) proto.Message {
	return listed(specsMessage, "metricSpecs", specMessage, metric, "targetSize", target)
}

// metricsAnswer is the answer to GetMetrics: one metric with its value.
func metricsAnswer(metric string, value float64) proto.Message {
	return listed(metricsResponseMessage, "metricValues", metricValMessage, metric, "metricValue", value)
}

// listed returns a message with a list of one metric that has a number: as a float, and as an integer for older versions of KEDA.
func listed(of protoreflect.MessageDescriptor, list protoreflect.Name, element protoreflect.MessageDescriptor, metric string, field protoreflect.Name, number float64) proto.Message {
	e := dynamicpb.NewMessage(element)
	e.Set(element.Fields().ByName("metricName"), protoreflect.ValueOfString(metric))
	e.Set(element.Fields().ByName(field), protoreflect.ValueOfInt64(int64(number)))
	e.Set(element.Fields().ByName(field+"Float"), protoreflect.ValueOfFloat64(number))
	m := dynamicpb.NewMessage(of)
	m.Mutable(of.Fields().ByName(list)).List().Append(protoreflect.ValueOfMessage(e))
	return m
}
