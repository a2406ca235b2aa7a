"""Camera node: a raw image and its camera info in, the model's image and matching camera info out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from aislewise import messages, topics
from aislewise.node import AislewiseNode, run
from perception.camera import prepare_image
from perception.lens import Distortion, Undistorter


class CameraNode(AislewiseNode):
    """Validates, decodes and resizes every image, and takes the lens's distortion out; a bad one is dropped, counted
    and reported."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("camera", **kwargs)
        self._K: np.ndarray | None = None
        self._lens: Distortion | None = None
        self._undistort: Undistorter | None = None
        self._image = self.advertise(topics.IMAGE)
        self._info = self.advertise(topics.CAMERA_INFO)
        self.listen(topics.CAMERA_INFO_RAW, self.on_info)
        self.listen(topics.IMAGE_RAW, self.on_image)

    def on_info(self, msg: Any) -> None:
        self._K = None  # of a lens that is refused nothing is known any more
        self._lens = Distortion.of(msg.distortion_model, msg.d)
        self._K = np.asarray(msg.k, np.float64).reshape(3, 3)

    def on_image(self, msg: Any) -> None:
        if self._K is None:
            return
        image, K = prepare_image(
            msg.data, msg.encoding, int(msg.height), int(msg.width), self._K, step=int(msg.step)
        )
        height, width = image.shape[:2]
        if self._lens is not None:  # after resizing, which commutes with it: a large picture costs no more
            if self._undistort is None or not self._undistort.fits(self._lens, K, width, height):
                self._undistort = Undistorter(self._lens, K, width, height)
            image = self._undistort(image)
        self._info.publish(
            CameraInfo(header=msg.header, height=height, width=width, k=K.ravel())
        )
        self._image.publish(
            Image(
                header=msg.header, height=height, width=width, encoding="rgb8", step=3 * width,
                data=messages.octets(image),
            )
        )


def main(args: list[str] | None = None) -> int:
    return run(CameraNode, args)
