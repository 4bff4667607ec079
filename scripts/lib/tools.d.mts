/** True where this user can make hosts in network namespaces. */
export function canUseNetns(path?: string): boolean;
