/*
 * Every limit on what comes from outside, by name. Where a limit is also a setting, this is its ceiling.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    LIMIT_JSON_BODY_BYTES = 4 << 20, /* metadata requests */
    LIMIT_JSON_DEPTH = 64,
    LIMIT_JSON_MEMBERS = 100000,   /* values in one document */
    LIMIT_JSON_NUMBER_BYTES = 256, /* as written */
    LIMIT_MULTIPART_PARTS = 64,
    LIMIT_MULTIPART_HEADER_BYTES = 8 << 10,
    LIMIT_MULTIPART_TEXT_BYTES = 16 << 20, /* one part without a file name */
    LIMIT_PATH_BYTES = 4 << 10,
    LIMIT_CONFIG_FILE_BYTES = 1 << 20, /* fovea.conf, or a file that holds one secret value */
    LIMIT_LOG_LINE_BYTES = 4 << 10,    /* PIPE_BUF: one write is one line */
    LIMIT_LOG_VALUE_BYTES = 1000,
    LIMIT_QUERY_PARAMS = 64,
    LIMIT_REQUEST_ARENA_BYTES = 64 << 20,

    LIMIT_FASTCGI_PARAMS_BYTES = 256
                                 << 10,    /* all of a request: nginx's header buffers, spelled as CGI */
    LIMIT_FASTCGI_BODY_BYTES = 16 << 20,   /* by stdin; larger bodies come as files */
    LIMIT_FASTCGI_VALUES_BYTES = 1 << 10,  /* of FCGI_GET_VALUES */
    LIMIT_FASTCGI_REPLY_BYTES = 128 << 10, /* what one read can make us say about the protocol itself */
    LIMIT_CONNECTIONS = 4096,              /* of one process */

    LIMIT_PAGE_ROWS = 500,
    LIMIT_PAGE_NUMBER = 1000000,

    LIMIT_NAME_CHARS = 100, /* the tightest that every dialect can show */
    LIMIT_DESCRIPTION_CHARS = 1000,
    LIMIT_LABEL_CHARS = 50,
    LIMIT_TAGS = 50,
    LIMIT_TAG_CHARS = 50,

    LIMIT_IMAGE_SIDE_PX = 32768,
    LIMIT_IMAGE_PIXELS = 100000000, /* 100 megapixels */
    LIMIT_IMAGE_BYTES = 256 << 20,
    LIMIT_IMAGE_CODEC_BYTES =
        768 << 20, /* what a decoder may ask for besides the pixels (progressive JPEG) */
    LIMIT_IMAGE_CHUNK_BYTES = 8 << 20, /* one PNG chunk that is not pixels, unpacked */
    LIMIT_EXIF_BYTES = 64 << 10,
    LIMIT_JPEG_SCANS = 128, /* each pass over a progressive JPEG costs as much as a picture */
    LIMIT_TIFF_SAMPLES = 8, /* channels */
    LIMIT_HEIF_BOXES = 10000,
    LIMIT_APART_BYTES = 96 << 20,   /* address space of the program that decodes HEIC and AVIF ... */
    LIMIT_APART_PIXEL_BYTES = 20,   /* ... and so much for each pixel */
    LIMIT_APART_CPU_S = 60,         /* of all its threads */
    LIMIT_APART_S = 30,             /* as the clock goes */
    LIMIT_SNIFF_BYTES = 8 << 10,    /* how much libmagic looks at */
    LIMIT_ZIP_NAME_BYTES = 1024,    /* of an entry in an archive that we write */
    LIMIT_PREDICT_BYTES = 10 << 20, /* default of predict.max_bytes */

    LIMIT_ONNX_BYTES = 1 << 30,
    LIMIT_ONNX_NODES = 100000,
    LIMIT_ONNX_TENSORS = 200000,
    LIMIT_ONNX_ATTRIBUTES = 500000,
    LIMIT_ONNX_PARTS = 16, /* pieces that one message of the file is cut into */
    LIMIT_TENSOR_RANK = 8,
    LIMIT_DETECTIONS = 300,
    LIMIT_HEAD_ROWS = 2000000,       /* anchors of one output */
    LIMIT_CANDIDATES = 1000000,      /* above the threshold, before suppression */
    LIMIT_SUPPRESSED = 30000,        /* the best of them, which suppression looks at */
    LIMIT_ROTATED_CANDIDATES = 5000, /* the same where each pair is compared */
    LIMIT_KEYPOINTS = 1024,          /* of one detection */
    LIMIT_MASK_COEFFICIENTS = 1024,
    LIMIT_POLYGON_POINTS = 20000, /* of one mask */
    LIMIT_TEXT_REGIONS = 5000,    /* spots in one probability map */
    LIMIT_PREDICTION_BYTES = 256 << 20,
    LIMIT_MODEL_INPUT_PX = 4096, /* side of a network's input */
    LIMIT_MODEL_KERNELS = 8192,  /* compiled primitives: each is machine code of its own */
    LIMIT_PLAN_AVOIDED = 256,    /* layers that a check keeps from their kernels */

    LIMIT_LITERAL_BYTES = 4 << 20, /* a Python literal in a model's metadata */
    LIMIT_LITERAL_DEPTH = 32,
    LIMIT_LITERAL_VALUES = 200000,
    LIMIT_MODEL_CLASSES = 65536,
    LIMIT_CLASS_NAME_BYTES = 512,

    LIMIT_NPY_BYTES = 1 << 30,
    LIMIT_NPY_HEADER_BYTES = 64 << 10,

    LIMIT_UNPACK_FILES = 1000, /* in an archive from outside */
    LIMIT_UNPACK_RATIO = 64,   /* what it may unpack to, in its own size (and 64 KiB) */

    LIMIT_ZIP_RECORDS = 100000,
    LIMIT_PICKLE_BYTES = 64 << 20,
    LIMIT_PICKLE_VALUES = 5000000,
    LIMIT_PICKLE_DEPTH = 500,             /* marks open at once; levels of a walk over modules */
    LIMIT_PICKLE_MEMORY_BYTES = 64 << 20, /* and four times the pickle on top */
    LIMIT_PICKLE_NAME_BYTES = 256,        /* module or class */
    LIMIT_PICKLE_UNKNOWN = 64,            /* names outside the allow list that are remembered */
    LIMIT_ZIP_RATIO = 64,                 /* what an archive's deflated records may unpack to */
    LIMIT_PT_LAYERS = 1000,               /* of a network in a checkpoint */
    LIMIT_PT_FEATURES = 64,               /* tensors that one module takes or gives */
    LIMIT_PT_DEPTH = 32,                  /* modules in modules */
    LIMIT_PT_ELEMENTS = 1 << 20,          /* of weights, beside four for each byte of the file */
    LIMIT_PT_RUNS = 8000,                 /* modules of a network, each time that one is used */

    LIMIT_TRIAL_PICTURES = 32, /* of a project, for the accuracy gate */
    LIMIT_TRIAL_S = 300,       /* that trying one precision of one model may take */

    LIMIT_CALIBRATED_PICTURES = 128, /* of a project, for one calibration */
    LIMIT_CALIBRATION_S = 300,       /* that making it may take */
    LIMIT_CALIBRATION_BYTES = 4 << 20,
    LIMIT_CALIBRATION_PICTURES = 1000000,
    LIMIT_CALIBRATION_TENSORS = 100000,
    LIMIT_CALIBRATION_CHANNELS = 250000,
    LIMIT_CALIBRATION_NAME_BYTES = 256,

    LIMIT_SQL_FILES = 1000, /* of sql/: ours, but read from disk */
    LIMIT_SQL_FILE_BYTES = 4 << 20,
};

#define LIMIT_MODEL_BYTES        ((long long)1 << 30) /* default of model.max_bytes */
#define LIMIT_MODEL_MEMORY_BYTES ((long long)2 << 30)
#define LIMIT_CHILD_BYTES        ((long long)8 << 30) /* memory of a process that tries a model */
#define LIMIT_TENSOR_ELEMENTS    ((long long)1 << 31)
#define LIMIT_MODEL_WORK                                                                                \
    ((long long)4000000000000) /* multiplications of one run; YOLOv8x at 1280 has a tenth */
#define LIMIT_LATE_WORK        ((long long)1 << 30) /* the same of nodes behind a suppression */
#define LIMIT_SUPPRESSION_WORK ((long long)1 << 29) /* pairs of boxes that one node compares */

#endif
