export const logScenes = {};
