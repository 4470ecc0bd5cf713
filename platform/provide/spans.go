package provide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// spansTimeout is how long the last spans may take to a collector at the end.
const spansTimeout = 5 * time.Second

// spans sends spans to a collector. Nil does not.
type spans struct {
	sdk *sdktrace.TracerProvider
	log *slog.Logger
}

// openSpans returns what sends spans to the collector that the environment names in
// the way of OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT and its kin); nil if it names
// none.
func openSpans(ctx context.Context, log *slog.Logger) (*spans, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil //nolint:nilnil // there is nobody to send them to
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "herald-provider")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("OpenTelemetry: %w", err), exporter.Shutdown(ctx))
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were not sent", slog.Any("error", err)) }))
	return &spans{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), log}, nil
}

// provider returns what makes the spans, nil for nobody.
func (s *spans) provider() oteltrace.TracerProvider {
	if s == nil {
		return nil
	}
	return s.sdk
}

// close sends what is left. A collector that does not take it is no error of the push
// server.
func (s *spans) close(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spansTimeout)
	defer cancel()
	if err := s.sdk.Shutdown(ctx); err != nil {
		s.log.Warn("the last spans were not sent", slog.Any("error", err))
	}
}
