SRC_inference := $(sort $(wildcard inference/*.c inference/*/*.c) inference/model/onnx.pb-c.c)
# oneDNN of Debian runs on libgomp; thread counts are set through it (inference/plan/onednn.c).
LDLIBS += -lgomp

# The ONNX container is described by our own .proto; its parser is generated and its types stay inside the reader.
$(B)/inference/model/onnx.pb-c.c: inference/model/onnx.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=inference/model --c_out=$(@D) $<
$(B)/inference/model/onnx.pb-c.h: $(B)/inference/model/onnx.pb-c.c ;
$(B)/inference/model/onnx.pb-c.o: $(B)/inference/model/onnx.pb-c.c
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -w -MMD -MP -c -o $@ $<
$(B)/inference/model/onnx.o $(B)/inference/model/tensor.o: $(B)/inference/model/onnx.pb-c.h

# Loops over pixels and over anchors: worth vectors.
$(B)/inference/letterbox.o $(B)/inference/kernels/letterbox.o $(B)/inference/preprocess.o $(B)/inference/post/table.o $(B)/inference/post/mask.o: CFLAGS += -O3

# Without optimisation gcc's intrinsics are macros, and warn of the conversions in their own constants.
$(if $(filter debug,$(MODE)),$(B)/inference/%.o: CFLAGS += -Wno-sign-conversion)
