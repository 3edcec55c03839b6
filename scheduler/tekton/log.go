package tekton

import (
	"fmt"

	"go.uber.org/zap/zapcore"

	"github.com/testdag/testdag/scheduler"
)

// A logger logs about one run, or about all.
type logger struct {
	to  scheduler.Logger // nil logs nothing
	run *scheduler.Ref   // nil for all
}

func (l logger) info(msg, key string, value any) {
	if l.to != nil {
		l.to.Info(msg, l.fields(key, value)...)
	}
}

func (l logger) warn(msg, key string, value any) {
	if l.to != nil {
		l.to.Warn(msg, l.fields(key, value)...)
	}
}

func (l logger) fields(key string, value any) []zapcore.Field {
	field := zapcore.Field{Key: key, Type: zapcore.StringType, String: fmt.Sprint(value)}
	if l.run == nil {
		return []zapcore.Field{field}
	}
	return []zapcore.Field{{Key: "run", Type: zapcore.StringerType, Interface: *l.run}, field}
}
